#include <weir/sim/virtual_nodes.hpp>

#include <weir/core.hpp>
#include <weir/io/file.hpp>
#include <weir/io/socket.hpp>
#include <weir/sim/node_kit_test.hpp>
#include <weir/testing/test.hpp>

#include <errno.h>
#include <gtest/gtest.h>

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weir::virtual_nodes_test {
namespace {

using namespace weir::literals;
using contract::program;
using contract::program_of;

constexpr std::uint16_t port = 7000;

/// What tests of streams need of two machines.
class Nodes : public contract::two_machines {
 protected:
  /// Says "hello" to whoever connects to `far`, and then what it is told.
  program& echo() {
    return add([]() -> task<> {
      auto door = co_await listen({.host = "*", .port = port});
      co_await with_scope([&](scope& peers) -> task<> {
        for (;;) {
          peers.spawn(
              [](socket peer) -> task<> {
                auto told = co_await as_result(echo_to(std::move(peer)));
                static_cast<void>(told);
              },
              co_await door.accept());
        }
      });
    });
  }
  static task<> echo_to(socket peer) {
    while (auto got = co_await peer.receive()) co_await peer.send(got);
  }
  /// Connects to `far`, sends `text` and notes what comes back, or the error.
  node_program& ask(std::string text, std::string& into) {
    askers.push_back(std::make_unique<asker>(*this, std::move(text), into));
    return *askers.back();
  }
  struct asker final : node_program {
    asker(Nodes& of, std::string what, std::string& out)
        : test(of), text(std::move(what)), into(out) {}
    WEIR_CORO_WRAPPER task<> main(virtual_node&) override { return test.ask_once(text, &into); }
    Nodes& test;
    std::string text;
    std::string& into;
  };
  task<> ask_once(std::string text, std::string* into) {
    auto done = co_await as_result(exchange(std::move(text), into));
    if (!done) *into += name(done.error().code());
    answered = all.elapsed();
  }
  task<> exchange(std::string text, std::string* into) {
    socket to = co_await connect(*address::parse(far.address() + ":7000"));
    connected = all.elapsed();
    co_await to.send(text);
    while (into->size() < text.size()) {
      const auto got = co_await to.receive();
      if (!got) break;
      *into += got.text();
    }
  }
  task<> ask_late(std::string* into) {
    socket to = co_await connect(*address::parse(far.address() + ":7000"));
    co_await sleep(5_s);
    co_await to.send("hello");
    *into += (co_await to.receive()).text();
  }

  std::vector<std::unique_ptr<asker>> askers;
  duration connected;
  duration answered;
};

TEST_F(Nodes, have_addresses_of_their_own_and_talk) {
  std::string heard;
  far.start(echo());
  near.start(ask("hello", heard));
  EXPECT_TRUE(all.run_for(10_s));
  EXPECT_EQ(heard, "hello");
  EXPECT_EQ(near.address(), "10.0.0.1");
  EXPECT_EQ(far.address(), "10.0.0.2");
  EXPECT_FALSE(near.is_running());
  EXPECT_FALSE(near.outcome().is_failed) << near.outcome().failure;
  EXPECT_GT(answered - connected, 400_us) << "a way there and one back";
  EXPECT_LT(answered, 10_ms);
}

TEST_F(Nodes, know_whom_they_talk_to) {
  std::string peer;
  far.start(add([&peer]() -> task<> {
    auto door = co_await listen({.host = "*", .port = port});
    const socket from = co_await door.accept();
    peer = from.peer().text();
  }));
  std::string heard;
  near.start(ask("x", heard));
  all.run_for(10_s);
  EXPECT_TRUE(peer.starts_with("10.0.0.1:")) << peer;
}

TEST_F(Nodes, loopback_stays_on_a_machine) {
  std::string heard;
  far.start(echo());
  near.start(add([&heard]() -> task<> {
    auto to = co_await as_result(
        []() -> task<> { socket never = co_await connect(*address::parse("127.0.0.1:7000")); }());
    heard = name(to.error().code());
  }));
  all.run_for(10_s);
  EXPECT_EQ(heard, "refused");
}

TEST_F(Nodes, nobody_who_listens_is_a_refusal) {
  std::string heard;
  far.start(add([]() -> task<> { co_await sleep(1_h); }));
  near.start(ask("hello", heard));
  all.run_for(10_s);
  EXPECT_EQ(heard, "refused");
}

TEST_F(Nodes, a_machine_that_is_off_is_silence_until_the_patience_ends) {
  std::string heard;
  near.start(ask("hello", heard));
  all.run_for(100_s);
  EXPECT_EQ(heard, "");
  all.run_for(200_s);
  EXPECT_EQ(heard, "timed_out");
  EXPECT_GE(answered, virtual_links::connect_patience);
}

TEST_F(Nodes, many_bytes_go_through_a_small_buffer_in_pieces) {
  std::string heard;
  std::string text(100'000, 'x');
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>('a' + i % 26);
  choices other(3);
  virtual_nodes narrow(other);
  virtual_node& reader = narrow.add({.name = "reader", .world = {.socket_buffer_max = 1}});
  virtual_node& writer = narrow.add({.name = "writer", .world = {.socket_buffer_max = 7}});
  text.resize(2'000);
  reader.start(echo());
  writer.start(add([&]() -> task<> {
    socket to = co_await connect(*address::parse(reader.address() + ":7000"));
    for (const char c : text) {
      const std::string one(1, c);
      co_await to.send(one);
      heard.append((co_await to.receive()).text());
    }
  }));
  EXPECT_TRUE(narrow.run_for(1_h));
  EXPECT_EQ(heard, text);
}

// What kill() and cut_power() leave.
class Killed : public Nodes {
 protected:
  /// Writes a file without a sync, then waits; its cleanup would write another one.
  program& careful() {
    return add([]() -> task<> {
      file one = co_await open_file("/unsynced", {.write = true, .create = true});
      co_await one.write_at(0, "kept by the kernel");
      co_await with_cleanups([](cleanups& at_end) -> task<> {
        at_end.defer_async([]() -> task<> {
          file last = co_await open_file("/farewell", {.write = true, .create = true});
          co_await last.write_at(0, "goodbye");
        });
        co_await sleep(1_h);
      });
    });
  }
  bool has(const char* path) { return far.world().disk().content_of(path) != nullptr; }
};

TEST_F(Killed, a_program_runs_no_cleanup_that_reaches_anybody) {
  far.start(careful());
  all.run_for(1_s);
  far.kill();
  all.run_for(2_h);
  EXPECT_TRUE(has("/unsynced")) << "the kernel lives on";
  EXPECT_FALSE(has("/farewell"));
  EXPECT_FALSE(far.is_running());
}

TEST_F(Killed, a_program_that_is_asked_to_end_does_run_its_cleanup) {
  far.start(add([&]() -> task<> { co_await with_timeout(1_s, careful().body()); }));
  all.run_for(1_min);
  EXPECT_TRUE(has("/farewell"));
  EXPECT_TRUE(far.outcome().is_failed);
}

TEST_F(Killed, a_power_cut_drops_what_was_not_synced) {
  far.start(careful());
  all.run_for(1_s);
  far.cut_power(crash_loss::all);
  EXPECT_FALSE(has("/unsynced"));
  EXPECT_FALSE(has("/farewell"));
}

TEST_F(Killed, a_program_can_be_started_again_on_what_it_left) {
  far.start(careful());
  all.run_for(1_s);
  far.kill();
  std::string found;
  far.start(add([&]() -> task<> {
    file one = co_await open_file("/unsynced");
    char into[64];
    found.assign(into, co_await one.read_at(0, into));
  }));
  all.run_for(1_s);
  EXPECT_EQ(found, "kept by the kernel");
  EXPECT_EQ(far.starts(), 2u);
}

TEST_F(Killed, a_program_ends_its_connections_and_the_peer_hears_it) {
  std::string heard;
  far.start(add([]() -> task<> {
    auto door = co_await listen({.host = "*", .port = port});
    const socket silent = co_await door.accept();
    co_await sleep(1_h);
  }));
  near.start(ask("hello", heard));
  all.run_for(1_s);
  EXPECT_EQ(heard, "");
  far.kill();
  all.run_for(1_s);
  EXPECT_EQ(heard, "broken") << "unread bytes: a reset";
}

TEST_F(Killed, a_power_cut_is_silent_until_the_machine_is_back_and_knows_nothing) {
  std::string heard;
  bool is_sending = false;
  far.start(echo());
  near.start(add([&]() -> task<> {
    socket to = co_await connect(*address::parse(far.address() + ":7000"));
    co_await sleep(10_s);  // the power is cut meanwhile
    is_sending = true;
    co_await to.send("are you there?");
    const auto got = co_await as_result(to.receive());
    heard = got ? "data" : std::string(name(got.error().code()));
  }));
  all.run_for(1_s);
  far.cut_power();
  all.run_for(1_min);
  EXPECT_TRUE(is_sending);
  EXPECT_EQ(heard, "") << "half open: nobody says that the other end is gone";
  far.start(echo());
  all.run_for(10_min);
  EXPECT_EQ(heard, "broken");
}

TEST_F(Killed, a_machine_that_stays_off_is_given_up_on_in_the_end) {
  std::string heard;
  far.start(echo());
  near.start(add([&]() -> task<> {
    socket to = co_await connect(*address::parse(far.address() + ":7000"));
    co_await sleep(10_s);
    co_await to.send("are you there?");
    const auto got = co_await as_result(to.receive());
    heard = name(got.error().code());
  }));
  all.run_for(1_s);
  far.cut_power();
  all.run_for(900_s);
  EXPECT_EQ(heard, "");
  all.run_for(300_s);
  EXPECT_EQ(heard, "timed_out");
}

TEST_F(Killed, a_server_on_a_unix_path_can_be_started_again) {
  int began = 0;
  program& server = add([&]() -> task<> {
    const listener door = co_await listen({.path = "/tmp/s"});
    ++began;
    co_await sleep(1_h);
  });
  far.start(server);
  all.run_for(1_s);
  far.kill();
  far.start(server);
  all.run_for(1_s);
  EXPECT_EQ(began, 2);
  far.cut_power();
  far.start(server);
  all.run_for(1_s);
  EXPECT_EQ(began, 3);
}

TEST_F(Nodes, a_paused_machine_finds_its_timers_late_and_what_came_meanwhile) {
  std::string heard;
  duration slept;
  far.start(echo());
  all.run_for(1_ms);
  far.pause();
  near.start(ask("hello", heard));
  all.run_for(20_s);
  EXPECT_EQ(heard, "");
  EXPECT_GT(connected, duration{}) << "its kernel accepts connections";
  far.resume();
  all.run_for(1_s);
  EXPECT_EQ(heard, "hello");
  near.start(add([&]() -> task<> {
    const duration began = all.elapsed();
    co_await sleep(1_s);
    slept = all.elapsed() - began;
  }));
  all.run_for(100_ms);
  near.pause();
  all.run_for(5_s);
  near.resume();
  all.run_for(1_s);
  EXPECT_EQ(slept, 5100_ms);
}

TEST_F(Nodes, a_partition_is_silence_in_both_directions_and_heals) {
  std::string heard;
  far.start(echo());
  to_far().is_cut = to_near().is_cut = true;
  near.start(ask("hello", heard));
  all.run_for(20_s);
  EXPECT_EQ(heard, "");
  EXPECT_EQ(connected, duration{});
  to_far().is_cut = to_near().is_cut = false;
  all.run_for(60_s);
  EXPECT_EQ(heard, "hello");
  EXPECT_GT(all.links().stats().failed_tries, 3u);
}

TEST_F(Nodes, a_one_way_partition_lets_questions_through_and_no_answers) {
  std::string heard;
  std::string seen;
  far.start(add([&]() -> task<> {
    auto door = co_await listen({.host = "*", .port = port});
    socket from = co_await door.accept();
    while (auto got = co_await from.receive()) {
      seen += got.text();
      co_await from.send(got);
    }
  }));
  near.start(add([&]() -> task<> { co_await ask_late(&heard); }));
  all.run_for(1_s);
  to_near().is_cut = true;
  all.run_for(10_s);
  EXPECT_EQ(seen, "hello");
  EXPECT_EQ(heard, "");
  to_near().is_cut = false;
  all.run_for(30_s);
  EXPECT_EQ(heard, "hello");
}

TEST_F(Nodes, a_clogged_link_delivers_late_and_in_order) {
  std::string heard;
  far.start(echo());
  to_far().clogged_until = all.now() + 30_s;
  near.start(ask("hello", heard));
  all.run_for(29_s);
  EXPECT_EQ(connected, duration{});
  all.run_for(2_s);
  EXPECT_EQ(heard, "hello");
}

TEST_F(Nodes, latencies_lie_between_their_bounds_and_have_a_tail) {
  all.links().set_all({.latency_min = 10_ms, .latency_max = 20_ms});
  std::string heard;
  far.start(echo());
  near.start(ask("hello", heard));
  all.run_for(10_s);
  EXPECT_GE(connected, 20_ms);
  EXPECT_LE(connected, 40_ms);
  all.links().set_all({.slow_chance = 1, .slow_max = 10_s});
  heard.clear();
  near.start(ask("hello", heard));
  const duration began = all.elapsed();
  all.run_for(60_s);
  EXPECT_EQ(heard, "hello");
  EXPECT_GT(answered - began, 1_s);
}

TEST_F(Nodes, lost_packets_are_sent_again) {
  all.links().set_all({.loss_chance = 0.5});
  std::string heard;
  far.start(echo());
  near.start(ask("hello", heard));
  all.run_for(10_min);
  EXPECT_EQ(heard, "hello");
  EXPECT_GT(all.links().stats().failed_tries, 0u);
}

TEST_F(Nodes, a_reset_on_the_way_ends_a_connection_on_both_ends) {
  std::string heard;
  far.start(echo());
  to_far().reset_chance = 1;
  near.start(ask("hello", heard));
  all.run_for(10_s);
  EXPECT_EQ(heard, "broken");
  EXPECT_EQ(all.links().stats().resets, 1u);
  far.kill();
  EXPECT_EQ(all.links().in_flight(), 0u) << "the other end has heard it, too";
}

TEST_F(Nodes, a_full_accept_queue_drops_connections_which_try_again) {
  std::string first;
  std::string second;
  far.start(add([]() -> task<> {
    auto door = co_await listen({.host = "*", .port = port, .backlog = 1});
    co_await sleep(10_s);
    for (;;) co_await echo_to(co_await door.accept());
  }));
  near.start(ask("hello", first));
  virtual_node& third = all.add({.name = "third"});
  third.start(ask("hello", second));
  all.run_for(5_s);
  EXPECT_GT(far.world().network().accepts_overflown(), 0u);
  all.run_for(60_s);
  EXPECT_EQ(first + second, "hellohello");
}

// Clocks.
class Clocks : public Nodes {
 protected:
  /// Sleeps an hour by its own clock; how long that was in truth.
  duration hour_of(const clock_model& model) {
    near.clock().set(model, all.now());
    duration took;
    near.start(add([&]() -> task<> {
      const duration began = all.elapsed();
      co_await sleep(1_h);
      took = all.elapsed() - began;
    }));
    EXPECT_TRUE(all.run_for(2_h));
    EXPECT_FALSE(near.is_running());
    return took;
  }
};

TEST_F(Clocks, of_machines_drift_apart) {
  EXPECT_EQ(hour_of({}), 1_h);
  EXPECT_EQ(hour_of({.drift = clock_drift::linear, .ppm = 1'000'000 / 4}), 2880_s);
  EXPECT_EQ(hour_of({.drift = clock_drift::linear, .ppm = -1'000'000 / 4}), 4800_s);
  const duration periodic = hour_of({.drift = clock_drift::periodic, .ppm = 1'000});
  EXPECT_NE(periodic, 1_h);
  EXPECT_GT(periodic, 3598_s);
  EXPECT_LT(periodic, 3602_s);
  const duration walked = hour_of({.drift = clock_drift::walk, .ppm = 100'000});
  EXPECT_NE(walked, 1_h);
  EXPECT_GT(walked, 3000_s);
  EXPECT_LT(walked, 4200_s);
}

TEST_F(Clocks, of_walls_begin_wrong_and_are_set) {
  near.clock().set({.wall_offset = 1_h}, all.now());
  EXPECT_EQ(near.world().clock().wall_now() - far.world().clock().wall_now(), 1_h);
  near.clock().step_wall(-2_h);
  EXPECT_EQ(near.world().clock().wall_now() - far.world().clock().wall_now(), -1_h);
  EXPECT_EQ(near.world().clock().now(), far.world().clock().now());
}

// Disks.
class IllDisk : public Nodes {
 protected:
  /// What a write, a sync, a crash-free read of "/f" come to on an ill disk.
  std::string store_and_read(disk_illness illness) {
    near.world().set_illness(illness);
    std::string out;
    near.start(add([&]() -> task<> {
      const auto done = co_await as_result(store(&out));
      if (!done) out += name(done.error().code());
    }));
    all.run_for(1_s);
    return out;
  }
  static task<> store(std::string* into) {
    file one = co_await open_file("/f", {.write = true, .create = true});
    co_await one.write_at(0, "0123456789");
    *into += "written ";
    co_await one.sync();
    *into += "synced ";
    char got[16];
    into->append(got, co_await one.read_at(0, got));
  }
};

TEST_F(IllDisk, tells_of_its_errors) {
  EXPECT_EQ(store_and_read({}), "written synced 0123456789");
  EXPECT_EQ(store_and_read({.read_error = 1}), "written synced io");
  EXPECT_EQ(store_and_read({.write_error = 1}), "io");
  EXPECT_EQ(store_and_read({.sync_error = 1}), "written io");
  EXPECT_EQ(near.world().faults_struck(), 3u);
}

TEST_F(IllDisk, after_a_sync_that_failed_once_the_data_is_not_on_the_platter) {
  EXPECT_EQ(store_and_read({.sync_error = 1}), "written io");
  near.world().set_illness({});
  near.start(add([]() -> task<> {
    file one = co_await open_file("/f", {.write = true});
    co_await one.sync();
    co_await sync_dir("/");
  }));
  all.run_for(1_s);
  near.cut_power(crash_loss::all);
  const auto content = near.world().disk().content_of("/f");
  ASSERT_TRUE(content);
  EXPECT_EQ(content->find("0123456789"), std::string::npos);
}

TEST_F(IllDisk, writes_wrong_bytes_in_silence) {
  const std::string got = store_and_read({.corrupt_write = 1});
  EXPECT_TRUE(got.starts_with("written synced ")) << got;
  EXPECT_NE(got, "written synced 0123456789");
  EXPECT_EQ(got.size(), std::string_view("written synced 0123456789").size());
}

TEST_F(IllDisk, writes_to_the_wrong_place_in_silence) {
  const std::string got = store_and_read({.lost_write = 1});
  EXPECT_EQ(got, "written synced " + std::string(16, '\0'));
}

TEST_F(IllDisk, reads_and_writes_fewer_bytes_than_asked) {
  near.world().set_short_chance(0.9);
  EXPECT_EQ(store_and_read({}).substr(0, 15), "written synced ");
  EXPECT_GT(near.world().count_of(io_op::write_at), 1u) << "it was written in pieces";
  std::string got;
  int reads = 0;
  near.start(add([&]() -> task<> {
    file one = co_await open_file("/f");
    char into[10];
    for (int times = 0; times < 10; ++times) {
      for (std::size_t have = 0; have < 10; ++reads)
        have += co_await one.read_at(have, std::span(into).subspan(have));
      got.append(into, 10);
    }
  }));
  all.run_for(1_s);
  EXPECT_EQ(got.size(), 100u);
  EXPECT_TRUE(got.ends_with("01234567890123456789")) << got;
  EXPECT_GT(reads, 10) << "some were short";
}

// The same seed.
std::uint64_t fingerprint_of(std::uint64_t seed) {
  choices decisions(seed);
  virtual_nodes all(decisions);
  virtual_node& near = all.add({.name = "near", .world = {.shuffle = true, .short_chance = 0.3}});
  virtual_node& far = all.add({.name = "far", .world = {.shuffle = true, .short_chance = 0.3}});
  all.links().set_all({.slow_chance = 0.1, .loss_chance = 0.1});
  program_of server([]() -> task<> {
    auto door = co_await listen({.host = "*", .port = port});
    for (;;) {
      socket peer = co_await door.accept();
      auto told = co_await as_result([](socket from) -> task<> {
        while (auto got = co_await from.receive()) co_await from.send(got);
      }(std::move(peer)));
      static_cast<void>(told);
    }
  });
  program_of client([&]() -> task<> {
    for (int i = 0; i < 5; ++i) {
      socket to = co_await connect(*address::parse(far.address() + ":7000"));
      co_await to.send("some bytes");
      const auto echoed = co_await to.receive();
      EXPECT_TRUE(echoed);
    }
  });
  far.start(server);
  near.start(client);
  all.run_for(1_min);
  far.cut_power();
  far.start(server);
  all.run_for(10_min);
  return all.fingerprint();
}

TEST(NodesOfASeed, do_the_same_twice_and_others_something_else) {
  EXPECT_EQ(fingerprint_of(1), fingerprint_of(1));
  EXPECT_EQ(fingerprint_of(2), fingerprint_of(2));
  EXPECT_NE(fingerprint_of(1), fingerprint_of(2));
}

}  // namespace
}  // namespace weir::virtual_nodes_test
