#include <weir/sim/virtual_driver.hpp>

#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace weir::virtual_driver_test {
namespace {

using namespace weir::literals;

/// A request that knows whether it is complete.
struct asked : io_request {
  bool is_done = false;
  explicit asked(io_op which, io_handle on = -1) {
    op = which;
    handle = on;
    on_complete = [](io_request& r) noexcept { static_cast<asked&>(r).is_done = true; };
  }
  void start(driver& io) { is_done = io.submit(*this); }
};

raw_address ipv4(int port, std::uint32_t host = INADDR_LOOPBACK) {
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_port = htons(static_cast<std::uint16_t>(port));
  in.sin_addr.s_addr = htonl(host);
  raw_address out;
  std::memcpy(out.storage, &in, sizeof in);
  out.size = sizeof in;
  return out;
}
raw_address unix_path(const char* path) {
  sockaddr_un un{};
  un.sun_family = AF_UNIX;
  std::strncpy(un.sun_path, path, sizeof un.sun_path - 1);
  raw_address out;
  std::memcpy(out.storage, &un, sizeof un);
  out.size = sizeof un;
  return out;
}

// Each test runs with answers at once and with answers from wait().
class VirtualDriver : public ::testing::TestWithParam<bool> {
 protected:
  std::int64_t finish(asked& r) {
    for (int i = 0; i < 1000 && !r.is_done; ++i) io_.wait(io_.now());
    EXPECT_TRUE(r.is_done);
    return r.outcome;
  }
  std::int64_t run(asked r) {
    r.start(io_);
    return finish(r);
  }
  std::int64_t send(io_handle on, std::string_view text) {
    const io_slice slice{.data = text.data(), .size = text.size()};
    asked r(io_op::send, on);
    r.slices = &slice;
    r.slice_count = 1;
    r.start(io_);
    return finish(r);
  }
  /// A new file whose name is durable.
  io_handle make_file(const char* path, std::uint32_t flags = 0) {
    asked open(io_op::open);
    open.path = path;
    open.flags = O_RDWR | O_CREAT | flags;
    const auto made = static_cast<io_handle>(run(open));
    asked dir(io_op::sync_dir);
    dir.path = "/";
    EXPECT_EQ(run(dir), 0);
    return made;
  }
  std::int64_t write(io_handle to, std::string_view text, std::uint64_t offset, bool is_durable) {
    const io_slice slice{.data = text.data(), .size = text.size()};
    asked r(io_op::write_at, to);
    r.slices = &slice;
    r.slice_count = 1;
    r.offset = offset;
    r.flags = is_durable ? 1 : 0;
    return run(r);
  }
  std::string receive(io_handle on) {
    asked r(io_op::receive, on);
    r.start(io_);
    return finish(r) >= 0 ? std::string(r.received.text()) : "error";
  }
  std::int64_t connect(io_handle on, raw_address to) {
    asked r(io_op::connect, on);
    r.address = &to;
    r.start(io_);
    return finish(r);
  }
  std::int64_t close(io_handle one) { return run(asked(io_op::close, one)); }
  struct ends {
    io_handle client, server;
  };
  ends connected(raw_address at = ipv4(0)) {
    listener_ = io_.make_listener(at, {});
    EXPECT_GE(listener_, 0);
    const io_handle client =
        io_.make_socket(reinterpret_cast<const sockaddr*>(at.storage)->sa_family);
    EXPECT_EQ(connect(client, at), 0);
    return {.client = client,
            .server = static_cast<io_handle>(run(asked(io_op::accept, listener_)))};
  }

  virtual_world world_{{.queued_chance = GetParam() ? 1.0 : 0.0}};
  virtual_driver io_{world_};
  io_handle listener_ = -1;
};
INSTANTIATE_TEST_SUITE_P(Answers, VirtualDriver, ::testing::Bool(), [](const auto& info) {
  return std::string(info.param ? "from_wait" : "at_once");
});

TEST_P(VirtualDriver, time_begins_in_2000_and_jumps_to_where_it_is_waited_for_T25_L4) {
  EXPECT_EQ(io_.wall_now(), virtual_clock::wall_start);
  const time_point began = io_.now();
  io_.wait(began + 5_h);
  EXPECT_EQ(io_.now(), began + 5_h);
  EXPECT_EQ(io_.wall_now(), virtual_clock::wall_start + 5_h);
  world_.clock().step_wall(-1_h);
  EXPECT_EQ(io_.wall_now(), virtual_clock::wall_start + 4_h);
  EXPECT_EQ(io_.now(), began + 5_h);
}

TEST_P(VirtualDriver, bytes_go_both_ways_in_order_and_the_end_comes_last) {
  const auto [client, server] = connected();
  EXPECT_EQ(send(client, "hello "), 6);
  EXPECT_EQ(send(client, "there"), 5);
  EXPECT_EQ(receive(server), "hello there");
  EXPECT_EQ(send(server, "answer"), 6);
  asked half(io_op::shutdown, client);
  half.flags = SHUT_WR;
  EXPECT_EQ(run(half), 0);
  EXPECT_EQ(receive(server), "");
  EXPECT_EQ(send(client, "x"), -EPIPE);
  EXPECT_EQ(receive(client), "answer") << "the other direction is open";
  EXPECT_EQ(close(server), 0);
  EXPECT_EQ(receive(client), "");
}

TEST_P(VirtualDriver, a_receive_waits_for_bytes) {
  const auto [client, server] = connected();
  asked waiting(io_op::receive, server);
  waiting.start(io_);
  io_.wait(io_.now());
  EXPECT_FALSE(waiting.is_done);
  EXPECT_FALSE(io_.is_waiting_for_io()) << "nothing will happen by itself";
  send(client, "now");
  EXPECT_EQ(finish(waiting), 3);
}

TEST_P(VirtualDriver, a_send_is_partial_and_then_waits_until_the_reader_makes_room) {
  const auto [client, server] = connected();
  const std::string much(100'000, 'm');
  EXPECT_EQ(send(client, much), 64 * 1024);
  const io_slice slice{.data = much.data(), .size = 10};
  asked blocked(io_op::send, client);
  blocked.slices = &slice;
  blocked.slice_count = 1;
  blocked.start(io_);
  io_.wait(io_.now());
  EXPECT_FALSE(blocked.is_done);
  EXPECT_EQ(receive(server).size(), virtual_network::receive_max);
  EXPECT_EQ(finish(blocked), 10);
}

TEST_P(VirtualDriver, closing_with_unread_bytes_resets_the_other_end) {
  const auto [client, server] = connected();
  send(client, "unread");
  close(server);
  asked r(io_op::receive, client);
  r.start(io_);
  EXPECT_EQ(finish(r), -ECONNRESET);
  EXPECT_EQ(send(client, "x"), -EPIPE);
  EXPECT_EQ(receive(client), "");
}

TEST_P(VirtualDriver, closing_without_linger_resets_the_other_end) {
  const auto [client, server] = connected();
  EXPECT_EQ(io_.set_option(server, SOL_SOCKET, SO_LINGER, 0), 0);
  close(server);
  EXPECT_EQ(run(asked(io_op::receive, client)), -ECONNRESET);
}

TEST_P(VirtualDriver, sending_to_a_closed_end_succeeds_once_and_then_is_a_broken_pipe) {
  const auto [client, server] = connected();
  close(server);
  EXPECT_EQ(send(client, "into the void"), 13);
  EXPECT_EQ(send(client, "x"), -EPIPE);
}

TEST_P(VirtualDriver, addresses_are_loopback_free_or_taken) {
  raw_address first = ipv4(7000);
  listener_ = io_.make_listener(first, {});
  EXPECT_GE(listener_, 0);
  raw_address again = ipv4(7000, INADDR_ANY);
  EXPECT_EQ(io_.make_listener(again, {}), -EADDRINUSE);
  raw_address outside = ipv4(7000, 0x08080808);
  EXPECT_EQ(io_.make_listener(outside, {}), -EADDRNOTAVAIL);
  raw_address shared = ipv4(7001);
  EXPECT_GE(io_.make_listener(shared, {.reuse_port = true}), 0);
  EXPECT_GE(io_.make_listener(shared, {.reuse_port = true}), 0);
  EXPECT_EQ(io_.make_listener(shared, {}), -EADDRINUSE);
  close(listener_);
  EXPECT_GE(io_.make_listener(again, {}), 0);

  const io_handle s = io_.make_socket(AF_INET);
  EXPECT_EQ(connect(s, ipv4(7999)), -ECONNREFUSED);
  EXPECT_EQ(connect(s, ipv4(80, 0x08080808)), -ENETUNREACH);
  EXPECT_EQ(send(s, "x"), -ENOTCONN);
  EXPECT_EQ(io_.make_socket(77), -EAFNOSUPPORT);
}

TEST_P(VirtualDriver, both_ends_know_both_addresses) {
  const auto [client, server] = connected();
  raw_address mine, theirs, bound;
  ASSERT_EQ(io_.address_of(client, false, mine), 0);
  ASSERT_EQ(io_.address_of(server, true, theirs), 0);
  EXPECT_EQ(std::memcmp(mine.storage, theirs.storage, sizeof(sockaddr_in)), 0);
  ASSERT_EQ(io_.address_of(client, true, mine), 0);
  ASSERT_EQ(io_.address_of(listener_, false, bound), 0);
  EXPECT_EQ(std::memcmp(mine.storage, bound.storage, sizeof(sockaddr_in)), 0);
  EXPECT_EQ(io_.address_of(listener_, true, mine), -ENOTCONN);
}

TEST_P(VirtualDriver, a_full_backlog_makes_connect_wait_and_closing_the_listener_refuses) {
  raw_address at = ipv4(0);
  const io_handle listener = io_.make_listener(at, {.backlog = 1});
  EXPECT_EQ(connect(io_.make_socket(AF_INET), at), 0);
  asked second(io_op::connect, io_.make_socket(AF_INET));
  asked third(io_op::connect, io_.make_socket(AF_INET));
  second.address = third.address = &at;
  second.start(io_);
  third.start(io_);
  io_.wait(io_.now());
  EXPECT_FALSE(second.is_done || third.is_done);
  EXPECT_GE(run(asked(io_op::accept, listener)), 0);
  EXPECT_EQ(finish(second), 0);
  EXPECT_FALSE(third.is_done);
  close(listener);
  EXPECT_EQ(finish(third), -ECONNREFUSED);
  EXPECT_EQ(run(asked(io_op::receive, second.handle)), -ECONNRESET) << "never accepted";
}

TEST_P(VirtualDriver, unix_sockets_live_at_a_path_and_leave_their_file_there) {
  const auto [client, server] = connected(unix_path("/tmp/s"));
  EXPECT_EQ(send(client, "u"), 1);
  EXPECT_EQ(receive(server), "u");
  raw_address at = unix_path("/tmp/s");
  EXPECT_EQ(io_.make_listener(at, {}), -EADDRINUSE);
  close(listener_);
  EXPECT_EQ(connect(io_.make_socket(AF_UNIX), at), -ECONNREFUSED) << "the name is still there";
  const io_handle next = io_.make_listener(at, {});
  EXPECT_GE(next, 0) << "nobody is behind it";
  EXPECT_EQ(io_.make_listener(at, {}), -EADDRINUSE);
  EXPECT_EQ(io_.make_datagram_socket(AF_UNIX, at, {}), -EADDRINUSE);
  asked creation(io_op::open);
  creation.path = "/tmp/no_socket";
  creation.flags = O_CREAT | O_RDWR;
  EXPECT_GE(run(creation), 0);
  raw_address no_socket = unix_path("/tmp/no_socket");
  EXPECT_EQ(io_.make_listener(no_socket, {}), -EADDRINUSE) << "a file of another kind stays";
  asked removal(io_op::remove);
  removal.path = "/tmp/s";
  EXPECT_EQ(run(removal), 0);
  EXPECT_EQ(connect(io_.make_socket(AF_UNIX), at), -ENOENT);
  EXPECT_GE(io_.make_listener(at, {}), 0);
  raw_address nowhere = unix_path("/no/such/folder");
  EXPECT_EQ(io_.make_listener(nowhere, {}), -ENOENT);
}

TEST_P(VirtualDriver, cancelling_a_wait_ends_it_and_touches_no_bytes) {
  const auto [client, server] = connected();
  asked waiting(io_op::receive, server);
  waiting.start(io_);
  io_.cancel(waiting);
  EXPECT_FALSE(waiting.is_done) << "a cancelled request completes in wait()";
  EXPECT_EQ(finish(waiting), -ECANCELED);
  send(client, "kept");
  EXPECT_EQ(receive(server), "kept");
}

TEST_P(VirtualDriver, a_result_that_was_there_beats_the_cancel) {
  const auto [client, server] = connected();
  asked waiting(io_op::receive, server);
  waiting.start(io_);
  send(client, "first");
  io_.cancel(waiting);
  EXPECT_EQ(finish(waiting), 5);
}

TEST_P(VirtualDriver, closing_ends_what_waits_on_the_handle) {
  const auto [client, server] = connected();
  asked waiting(io_op::receive, server);
  asked accepting(io_op::accept, listener_);
  waiting.start(io_);
  accepting.start(io_);
  io_.close_now(server);
  close(listener_);
  EXPECT_EQ(finish(waiting), -ECANCELED);
  EXPECT_EQ(finish(accepting), -ECANCELED);
  EXPECT_EQ(close(server), -EBADF);
  EXPECT_EQ(receive(client), "");
}

TEST_P(VirtualDriver, poll_tells_what_is_ready) {
  const auto [client, server] = connected();
  asked writable(io_op::poll, client);
  writable.flags = POLLOUT;
  EXPECT_EQ(run(writable), POLLOUT);
  asked readable(io_op::poll, server);
  readable.flags = POLLIN;
  readable.start(io_);
  io_.wait(io_.now());
  EXPECT_FALSE(readable.is_done);
  send(client, "x");
  EXPECT_EQ(finish(readable), POLLIN);
}

TEST_P(VirtualDriver, signals_reach_who_waits_and_stay_pending_once_otherwise) {
  asked before(io_op::wait_signal);  // from here on it is kept
  before.flags = 10;
  before.start(io_);
  io_.cancel(before);
  EXPECT_EQ(finish(before), -ECANCELED);
  asked first(io_op::wait_signal);
  first.flags = 15;
  first.start(io_);
  world_.raise_signal(10);
  EXPECT_FALSE(first.is_done);
  world_.raise_signal(15);
  EXPECT_EQ(finish(first), 15);
  asked pending(io_op::wait_signal);
  pending.flags = 10;
  EXPECT_EQ(run(pending), 10);
  asked none(io_op::wait_signal);
  none.flags = 10;
  none.start(io_);
  io_.cancel(none);
  EXPECT_EQ(finish(none), -ECANCELED);
}

TEST_P(VirtualDriver, blocking_work_runs_in_wait_unless_it_is_cancelled_before) {
  int calls = 0;
  asked work(io_op::run_blocking);
  work.memory = &calls;
  work.function = [](void* to) { ++*static_cast<int*>(to); };
  work.start(io_);
  EXPECT_EQ(calls, 0);
  EXPECT_TRUE(io_.is_waiting_for_io());
  EXPECT_EQ(finish(work), 0);
  EXPECT_EQ(calls, 1);
  asked dropped = work;
  dropped.start(io_);
  io_.cancel(dropped);
  EXPECT_EQ(finish(dropped), -ECANCELED);
  EXPECT_EQ(calls, 1);
}

TEST_P(VirtualDriver, the_nth_operation_of_a_kind_fails_with_the_given_error) {
  world_.add_fault({.op = io_op::open, .nth = 2, .code = ENOSPC, .count = 2});
  asked open(io_op::open);
  open.path = "/a";
  open.flags = O_RDWR | O_CREAT;
  EXPECT_GE(run(open), 0);
  EXPECT_EQ(run(open), -ENOSPC);
  EXPECT_EQ(run(open), -ENOSPC);
  EXPECT_GE(run(open), 0);
  EXPECT_EQ(world_.faults_struck(), 2u);
  EXPECT_EQ(world_.count_of(io_op::open), 4u);
}

TEST_P(VirtualDriver, a_fault_can_cut_a_transfer_short) {
  const auto [client, server] = connected();
  world_.add_fault({.op = io_op::send, .partial = 3});
  EXPECT_EQ(send(client, "abcdef"), 3);
  EXPECT_EQ(send(client, "def"), 3);
  EXPECT_EQ(receive(server), "abcdef");
}

TEST_P(VirtualDriver, a_durable_write_survives_a_crash_and_fails_when_its_sync_fails) {
  const io_handle file = make_file("/a");
  EXPECT_EQ(write(file, "text", 0, true), 4);
  world_.add_fault({.op = io_op::sync, .code = EIO});
  EXPECT_EQ(write(file, "more", 4, true), -EIO);
  world_.crash();
  const auto left = world_.disk().content_of("/a");
  ASSERT_TRUE(left);
  EXPECT_EQ(*left, "text");
}

TEST_P(VirtualDriver, a_durable_append_survives_a_crash_wherever_the_end_was) {
  const io_handle file = make_file("/a", O_APPEND);
  EXPECT_EQ(write(file, std::string(virtual_disk::page_size, 'x'), 0, true), 4096);
  EXPECT_EQ(write(file, "text", 0, true), 4);
  world_.crash();
  EXPECT_EQ(*world_.disk().content_of("/a"), std::string(4096, 'x') + "text");
}

TEST_P(VirtualDriver, a_durable_write_says_nothing_of_what_was_written_before) {
  constexpr std::size_t page = virtual_disk::page_size;
  const io_handle file = make_file("/a");
  EXPECT_EQ(write(file, "text", 0, false), 4);
  EXPECT_EQ(write(file, "text", 2 * page, false), 4);
  EXPECT_EQ(write(file, "text", page, true), 4);
  world_.crash();
  const auto left = world_.disk().content_of("/a");
  ASSERT_TRUE(left);
  EXPECT_EQ(*left, std::string(page, '\0') + "text");
}

TEST_P(VirtualDriver, an_append_that_an_ill_disk_loses_leaves_zeros) {
  const io_handle file = make_file("/a", O_APPEND);
  EXPECT_EQ(write(file, "text", 0, false), 4);
  world_.set_illness({.lost_write = 1});
  EXPECT_EQ(write(file, "more", 0, false), 4);
  EXPECT_EQ(world_.faults_struck(), 1u);
  EXPECT_EQ(*world_.disk().content_of("/a"), "text" + std::string(4, '\0'));
}

TEST_P(VirtualDriver, what_shares_the_place_in_a_file_goes_on_behind_an_append) {
  world_.disk().put_file("/a", "before ");
  const io_handle file = make_file("/a", O_APPEND);
  EXPECT_EQ(write(file, "x", virtual_world::own_offset, false), 1);
  char next = 0;
  asked read(io_op::read_at, file);
  read.offset = virtual_world::own_offset;
  read.memory = &next;
  read.size = 1;
  EXPECT_EQ(run(read), 0) << "it has read what was before: " << next;
}

TEST_P(VirtualDriver, after_a_crash_the_old_driver_is_dead_and_a_new_one_finds_what_was_synced) {
  const auto [client, server] = connected();
  asked waiting(io_op::receive, server);
  waiting.start(io_);
  asked open(io_op::open);
  open.path = "/a";
  open.flags = O_RDWR | O_CREAT;
  const auto file = static_cast<io_handle>(run(open));
  asked sync(io_op::sync, file);
  EXPECT_EQ(run(sync), 0);
  asked dir(io_op::sync_dir);
  dir.path = "/";
  EXPECT_EQ(run(dir), 0);

  world_.crash();
  EXPECT_TRUE(io_.is_dead());
  EXPECT_EQ(finish(waiting), -EIO);
  EXPECT_EQ(run(open), -EIO);
  EXPECT_EQ(send(client, "x"), -EIO);
  EXPECT_EQ(io_.make_socket(AF_INET), -EIO);
  io_.close_now(file);
  EXPECT_EQ(world_.open_handles(), 0u);

  virtual_driver next(world_);
  asked reopened(io_op::open);
  reopened.path = "/a";
  reopened.flags = O_RDONLY;
  reopened.start(next);
  while (!reopened.is_done) next.wait(next.now());
  EXPECT_GE(reopened.outcome, 0);
}

TEST_P(VirtualDriver, a_crash_can_be_ordered_before_the_nth_disk_operation) {
  world_.crash_before_disk_operation(2);
  asked open(io_op::open);
  open.path = "/a";
  open.flags = O_RDWR | O_CREAT;
  EXPECT_GE(run(open), 0);
  EXPECT_EQ(run(open), -EIO);
  EXPECT_EQ(world_.crashes(), 1u);
}

TEST(VirtualWorld, latencies_lie_between_their_bounds_and_depend_on_the_seed) {
  const auto times = [](std::uint64_t seed) {
    virtual_world world({.seed = seed, .latency_min = 1_ms, .latency_max = 9_ms});
    virtual_driver io(world);
    std::vector<std::int64_t> out;
    for (int i = 0; i < 20; ++i) {
      asked r(io_op::make_dir);
      r.path = "/d";
      const time_point began = io.now();
      r.start(io);
      EXPECT_FALSE(r.is_done);
      io.wait(time_point::never());
      EXPECT_TRUE(r.is_done);
      out.push_back((io.now() - began).ns);
      EXPECT_GE(out.back(), (1_ms).ns);
      EXPECT_LE(out.back(), (9_ms).ns);
    }
    return out;
  };
  EXPECT_EQ(times(1), times(1));
  EXPECT_NE(times(1), times(2));
}

TEST(VirtualWorld, too_many_handles_are_refused) {
  virtual_world world({.handles_max = 2});
  virtual_driver io(world);
  const io_handle first = io.make_socket(AF_INET);
  io.make_socket(AF_INET);
  EXPECT_EQ(io.make_socket(AF_INET), -EMFILE);
  asked open(io_op::open);
  open.path = "/a";
  open.flags = O_RDWR | O_CREAT;
  open.start(io);
  EXPECT_EQ(open.outcome, -EMFILE);
  io.close_now(first);
  EXPECT_GE(io.make_socket(AF_INET), 0);
}

TEST(VirtualWorld, short_transfers_and_random_bits_come_from_the_seed) {
  const auto counts = [](std::uint64_t seed) {
    virtual_world world({.seed = seed, .short_chance = 0.5});
    virtual_driver io(world);
    world.disk().open("/a", O_RDWR | O_CREAT, 1000);
    std::vector<std::int64_t> out{static_cast<std::int64_t>(io.random())};
    const std::string text(1000, 't');
    const io_slice slice{.data = text.data(), .size = text.size()};
    for (int i = 0; i < 10; ++i) {
      asked r(io_op::write_at, 1000);
      r.slices = &slice;
      r.slice_count = 1;
      r.start(io);
      EXPECT_GE(r.outcome, 1);
      EXPECT_LE(r.outcome, 1000);
      out.push_back(r.outcome);
    }
    return out;
  };
  EXPECT_EQ(counts(7), counts(7));
  EXPECT_NE(counts(7), counts(8));
}

TEST(VirtualWorld, another_thread_ends_the_idling_when_threads_are_on) {
  virtual_driver io(virtual_options{.threads = true});
  EXPECT_TRUE(io.can_be_woken());
  std::thread other([&] { io.wake(); });
  io.wait(time_point::never());
  other.join();
  EXPECT_EQ(io.now(), virtual_clock::start);
}

}  // namespace
}  // namespace weir::virtual_driver_test
