// The operations of this floor that the virtual world has, but those of files, cancelled at every
// point: what it took and what is still there is all that there was.
#include <weir/core.hpp>
#include <weir/io/blocking.hpp>
#include <weir/io/connection_test.hpp>
#include <weir/io/datagram_socket.hpp>
#include <weir/io/pipe_ends.hpp>
#include <weir/io/readiness.hpp>
#include <weir/io/resolve.hpp>
#include <weir/io/resolve_service.hpp>
#include <weir/io/signals.hpp>
#include <weir/io/socket.hpp>
#include <weir/testing/cancel_points.hpp>
#include <weir/testing/fake_name_server.hpp>
#include <weir/testing/test.hpp>

#include <errno.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <csignal>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace weir::cancelled_operations_test {
namespace {

using namespace weir::literals;
using contract::connect_pair;
using contract::connection;
using testing::cancel_at_every_point;
using testing::victim;

task<std::string> receive_to_the_end(socket& from) {
  std::string all;
  while (const bytes piece = co_await from.receive()) all += piece.text();
  co_return all;
}
task<> send_words(socket* to) {
  for (const char* word : {"one ", "two ", "three"}) {
    co_await sleep(1_ms);
    co_await to->send(word);
  }
  co_await to->shutdown_send();
}

TEST(CancelledOperations, a_receive_has_taken_what_it_gave_and_no_more) {
  cancel_at_every_point([](victim& v) -> task<> {
    connection ends = co_await connect_pair();
    std::string got;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(send_words, &ends.server);
      co_await v.run([](socket* from, std::string* into) -> task<> {
        while (const bytes piece = co_await from->receive()) *into += piece.text();
      }(&ends.client, &got));
    });
    got += co_await receive_to_the_end(ends.client);
    EXPECT_EQ(got, "one two three");
  });
}

TEST(CancelledOperations, a_receive_into_memory_has_taken_what_it_gave_and_no_more) {
  cancel_at_every_point([](victim& v) -> task<> {
    connection ends = co_await connect_pair();
    std::string got;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(send_words, &ends.server);
      co_await v.run([](socket* from, std::string* into) -> task<> {
        char memory[4];
        while (const std::size_t count = co_await from->receive_into(memory))
          into->append(memory, count);
      }(&ends.client, &got));
    });
    got += co_await receive_to_the_end(ends.client);
    EXPECT_EQ(got, "one two three");
  });
}

TEST(CancelledOperations, a_send_tells_how_much_has_left) {
  cancel_at_every_point([](victim& v) -> task<> {
    connection ends = co_await connect_pair();
    const std::string text(200'000, 'x');  // more than the way to the peer holds
    std::size_t sent = 0;
    std::string got;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> { got = co_await receive_to_the_end(ends.server); });
      co_await v.run([](socket* to, const std::string* what, std::size_t* count) -> task<> {
        co_await to->send(*what, count);
      }(&ends.client, &text, &sent));
      ends.client.close();
    });
    EXPECT_EQ(got.size(), sent);
    if (!v.was_cancelled()) EXPECT_EQ(sent, text.size());
  });
}

TEST(CancelledOperations, an_accept_has_taken_a_connection_or_left_it) {
  cancel_at_every_point([](victim& v) -> task<> {
    listener door = co_await listen({});
    int accepted = 0;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        co_await sleep(1_ms);
        const socket one = co_await connect(door.local());
        const socket other = co_await connect(door.local());
        co_await sleep(1_h);
      });
      co_await v.run([](listener* at, int* count) -> task<> {
        for (int i = 0; i < 2; ++i) {
          const socket taken = co_await at->accept();
          ++*count;
        }
      }(&door, &accepted));
      for (; accepted < 2; ++accepted) const socket left = co_await door.accept();
      co_await testing::expect_raises<errc::timed_out>(with_timeout(1_s, door.accept()));
      s.cancel();
    });
  });
}

TEST(CancelledOperations, a_patient_accept_has_taken_a_connection_or_left_it) {
  cancel_at_every_point([](victim& v) -> task<> {
    listener door = co_await listen({});
    const socket first = co_await connect(door.local());
    const socket second = co_await connect(door.local());
    int accepted = 0;
    testing::world().add_fault({.op = io_op::accept, .code = EMFILE});
    co_await v.run([](listener* at, int* count) -> task<> {
      const socket taken = co_await at->accept_patiently();
      ++*count;
    }(&door, &accepted));
    for (; accepted < 2; ++accepted) const socket left = co_await door.accept_patiently();
  });
}

TEST(CancelledOperations, a_listen_leaves_no_socket_open_and_its_place_free) {
  cancel_at_every_point([](victim& v) -> task<> {
    const std::size_t before = testing::world().open_handles();
    int doors = 0;
    co_await v.run([](int* count) -> task<> {
      co_await yield();
      const listener by_port = co_await listen({.port = 80});
      ++*count;
      const listener by_path = co_await listen_at(value_or_raise(address::unix_path("/door")));
      ++*count;
      co_await yield();
      for (const listener* door : {&by_port, &by_path})
        const socket made = co_await connect(door->local());
    }(&doors));
    if (!v.was_cancelled()) EXPECT_EQ(doors, 2);
    EXPECT_EQ(testing::world().open_handles(), before);
    const listener by_port = co_await listen({.port = 80});
    const listener by_path = co_await listen({.path = "/door"});
    const socket to_port = co_await connect(by_port.local());
    const socket to_path = co_await connect(by_path.local());
  });
}

TEST(CancelledOperations, a_connect_leaves_no_socket_open) {
  cancel_at_every_point([](victim& v) -> task<> {
    listener door = co_await listen({});
    const std::size_t before = testing::world().open_handles();
    bool is_connected = false;
    co_await v.run([](address to, bool* done) -> task<> {
      const socket made = co_await connect(to);
      *done = true;
    }(door.local(), &is_connected));
    if (!v.was_cancelled()) EXPECT_TRUE(is_connected);
    while (co_await as_result(with_timeout(1_ms, door.accept()))) {
    }
    EXPECT_EQ(testing::world().open_handles(), before);
  });
}

TEST(CancelledOperations, the_end_of_a_stream_is_told_or_not) {
  cancel_at_every_point([](victim& v) -> task<> {
    connection ends = co_await connect_pair();
    bool is_told = false;
    co_await v.run([](socket* of, bool* done) -> task<> {
      co_await yield();
      co_await of->shutdown_send();
      *done = true;
    }(&ends.client, &is_told));
    const auto end = co_await as_result(with_timeout(1_ms, ends.server.receive()));
    EXPECT_EQ(end.has_value(), is_told);
    if (!v.was_cancelled()) EXPECT_TRUE(is_told);
  });
}

task<> receive_each(datagram_socket* from, std::string* into, std::size_t count) {
  while (into->size() < count) {
    const datagram one = co_await from->receive();
    *into += one.text();
  }
}
task<> receive_several(datagram_socket* from, std::string* into, std::size_t count) {
  while (into->size() < count) {
    datagram some[3];
    const std::size_t came = co_await from->receive_batch(some);
    for (std::size_t i = 0; i < came; ++i) *into += some[i].text();
  }
}

// A datagram for each letter, of which so many come together: whoever is cancelled, none is lost.
template <std::size_t count, std::size_t together, auto receive>
void expect_all_received() {
  cancel_at_every_point([](victim& v) -> task<> {
    constexpr std::string_view letters = std::string_view("abcd").substr(0, count);
    datagram_socket here = bind_datagrams();
    datagram_socket there = open_datagrams();
    std::string got;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        for (std::size_t i = 0; i < count; ++i) {
          if (i % together == 0) co_await sleep(1_ms);
          co_await there.send_to(here.local(), letters.substr(i, 1));
        }
      });
      co_await v.run(receive(&here, &got, count));
    });
    co_await receive_each(&here, &got, count);
    EXPECT_EQ(got, letters);
  });
}

TEST(CancelledOperations, a_receive_of_a_datagram_has_taken_it_or_left_it) {
  expect_all_received<3, 1, &receive_each>();
}

TEST(CancelledOperations, a_receive_of_several_datagrams_has_taken_them_or_left_them) {
  expect_all_received<4, 2, &receive_several>();
}

TEST(CancelledOperations, a_batch_of_datagrams_tells_how_many_were_sent) {
  cancel_at_every_point([](victim& v) -> task<> {
    datagram_socket here = bind_datagrams();
    datagram_socket there = open_datagrams();
    std::size_t sent = 0;
    co_await v.run([](datagram_socket* over, address to, std::size_t* count) -> task<> {
      co_await yield();
      datagram all[] = {datagram_to(to, "a"), datagram_to(to, "b"), datagram_to(to, "c")};
      co_await over->send_batch(all, count);
    }(&there, here.local(), &sent));
    std::size_t came = 0;
    while (co_await as_result(with_timeout(1_ms, here.receive()))) ++came;
    EXPECT_EQ(came, sent);
    if (!v.was_cancelled()) EXPECT_EQ(sent, 3u);
  });
}

/// Sends three, one after the other; `count` of them are sent.
task<> send_three(datagram_socket* over, std::size_t* count) {
  co_await yield();
  for (const char* one : {"a", "b", "c"}) {
    co_await over->send(one);
    ++*count;
  }
}
task<std::string> receive_what_is_there(datagram_socket* from) {
  std::string all;
  while (const auto one = co_await as_result(with_timeout(1_ms, from->receive())))
    all += one->text();
  co_return all;
}

TEST(CancelledOperations, a_datagram_is_sent_once_or_not) {
  cancel_at_every_point([](victim& v) -> task<> {
    datagram_socket here = bind_datagrams();
    datagram_socket there = open_datagrams();
    co_await there.connect(here.local());
    std::size_t sent = 0;
    co_await v.run([](datagram_socket* over, address to, std::size_t* count) -> task<> {
      co_await send_three(over, count);
      co_await over->send_to(to, "d");
      ++*count;
    }(&there, here.local(), &sent));
    if (!v.was_cancelled()) EXPECT_EQ(sent, 4u);
    EXPECT_EQ(co_await receive_what_is_there(&here), std::string_view("abcd").substr(0, sent));
    co_await there.send("e");
    EXPECT_EQ(co_await receive_what_is_there(&here), "e") << "the socket goes on";
  });
}

TEST(CancelledOperations, a_datagram_that_waits_for_room_is_sent_once_or_not) {
  cancel_at_every_point([](victim& v) -> task<> {
    datagram_socket here = bind_datagrams({.path = "/here"});
    datagram_socket there = open_datagrams(address_family::unix_path);
    co_await there.connect(here.local());
    std::string expected;
    while (co_await as_result(with_timeout(1_ms, there.send("x")))) expected += 'x';
    std::string got;
    std::size_t sent = 0;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        for (int i = 0; i < 3; ++i) {
          co_await sleep(1_ms);
          got += (co_await here.receive()).text();
        }
      });
      co_await v.run(send_three(&there, &sent));
    });
    got += co_await receive_what_is_there(&here);
    EXPECT_EQ(got, expected + std::string("abc").substr(0, sent));
  });
}

TEST(CancelledOperations, a_datagram_socket_is_connected_or_as_before) {
  cancel_at_every_point([](victim& v) -> task<> {
    datagram_socket first = bind_datagrams();
    datagram_socket second = bind_datagrams();
    datagram_socket there = open_datagrams();
    co_await there.connect(first.local());
    bool is_done = false;
    co_await v.run([](datagram_socket* from, address to, bool* done) -> task<> {
      co_await yield();
      co_await from->connect(to);
      *done = true;
    }(&there, second.local(), &is_done));
    EXPECT_TRUE(is_done || v.was_cancelled());
    EXPECT_EQ(there.peer(), is_done ? second.local() : first.local());
    co_await there.send("x");
    EXPECT_EQ(co_await receive_what_is_there(&first), is_done ? "" : "x");
    co_await there.connect(second.local());
    co_await there.send("y");
    EXPECT_EQ(co_await receive_what_is_there(&second), is_done ? "xy" : "y");
  });
}

TEST(CancelledOperations, a_blocking_call_has_run_once_or_not_and_its_value_is_delivered) {
  cancel_at_every_point([](victim& v) -> task<> {
    int runs = 0;
    int values = 0;
    co_await v.run([](int* ran, int* given) -> task<> {
      const auto call = [ran] {
        ++*ran;
        return 1;
      };
      for (int i = 0; i < 2; ++i) *given += co_await blocking(call);
    }(&runs, &values));
    EXPECT_EQ(runs, values) << "a call ran and its value was lost";
    if (!v.was_cancelled()) EXPECT_EQ(values, 2);
  });
}

TEST(CancelledOperations, a_wait_for_a_signal_leaves_the_signal_to_the_next) {
  cancel_at_every_point([](victim& v) -> task<> {
    int heard = 0;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        co_await sleep(1_ms);
        testing::world().raise_signal(SIGHUP);
      });
      co_await v.run([](int* count) -> task<> {
        co_await wait_signal(SIGHUP);
        ++*count;
      }(&heard));
    });
    if (heard == 0) {
      co_await with_timeout(1_s, wait_signal(SIGHUP));
      ++heard;
    }
    EXPECT_EQ(heard, 1);
  });
}

TEST(CancelledOperations, a_wait_for_readiness_has_read_nothing_and_accepted_nobody) {
  cancel_at_every_point([](victim& v) -> task<> {
    listener door = co_await listen({});
    datagram_socket box = bind_datagrams();
    auto [from, to] = make_pipe();
    int ready = 0;
    co_await with_scope([&, &source = from, &sink = to](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        co_await sleep(1_ms);
        co_await sink.send("x");
        const socket client = co_await connect(door.local());
        datagram_socket sender = open_datagrams();
        co_await sender.send_to(box.local(), "x");
        co_await sleep(1_h);
      });
      co_await v.run([](const std::vector<int> handles, int* count) -> task<> {
        for (const int one : handles) *count += co_await wait_readable(one);
      }({source.handle(), door.handle(), box.handle()}, &ready));
      if (!v.was_cancelled()) EXPECT_EQ(ready, 3 * POLLIN);
      EXPECT_EQ((co_await source.receive()).text(), "x");
      EXPECT_TRUE(co_await door.accept());
      EXPECT_EQ((co_await box.receive()).text(), "x");
      s.cancel();
    });
  });
}

TEST(CancelledOperations, a_wait_for_room_leaves_the_room_to_who_sends) {
  cancel_at_every_point([](victim& v) -> task<> {
    connection ends = co_await connect_pair();
    const std::string text(200'000, 'x');  // more than the way to the peer holds
    std::size_t sent = 0;
    std::size_t got = 0;
    co_await with_scope({.timeout = 1_ms},
                        [&](scope&) -> task<> { co_await ends.client.send(text, &sent); });
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        co_await sleep(1_ms);
        got = (co_await receive_to_the_end(ends.server)).size();
      });
      int ready = 0;
      co_await v.run([](int handle, int* flags) -> task<> {
        *flags = co_await wait_writable(handle);
      }(ends.client.handle(), &ready));
      if (!v.was_cancelled()) EXPECT_EQ(ready, POLLOUT);
      co_await ends.client.send(std::string_view(text).substr(sent));
      co_await ends.client.shutdown_send();
    });
    EXPECT_EQ(got, text.size());
  });
}

task<> receive_pieces(pipe_reader* from, std::string* into) {
  while (const bytes piece = co_await from->receive()) *into += piece.text();
}
task<> receive_into_memory(pipe_reader* from, std::string* into) {
  char memory[4];
  while (const std::size_t count = co_await from->receive_into(memory)) into->append(memory, count);
}

template <auto receive>
void expect_that_a_pipe_keeps_what_is_not_taken() {
  cancel_at_every_point([](victim& v) -> task<> {
    auto [from, to] = make_pipe();
    std::string got;
    co_await with_scope([&, &source = from, &sink = to](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        for (const char* word : {"a", "b", "c"}) {
          co_await sleep(1_ms);
          co_await sink.send(word);
        }
        sink.close();
      });
      co_await v.run(receive(&source, &got));
    });
    co_await receive(&from, &got);
    EXPECT_EQ(got, "abc");
  });
}

TEST(CancelledOperations, a_pipe_keeps_what_a_receive_did_not_take) {
  expect_that_a_pipe_keeps_what_is_not_taken<&receive_pieces>();
  expect_that_a_pipe_keeps_what_is_not_taken<&receive_into_memory>();
}

TEST(CancelledOperations, a_send_into_a_pipe_tells_how_much_is_in_it) {
  cancel_at_every_point([](victim& v) -> task<> {
    auto [from, to] = make_pipe();
    const std::string text(200'000, 'x');  // more than a pipe holds
    std::size_t sent = 0;
    std::string got;
    co_await with_scope([&, &source = from, &sink = to](scope& s) -> task<> {
      s.spawn([&]() -> task<> { co_await receive_pieces(&source, &got); });
      co_await v.run([](pipe_writer* into, const std::string* what, std::size_t* count) -> task<> {
        co_await into->send(*what, count);
        co_await into->shutdown_send();
      }(&sink, &text, &sent));
      EXPECT_TRUE(sink || sent == text.size());
      sink.close();
    });
    EXPECT_EQ(got.size(), sent);
    if (!v.was_cancelled()) EXPECT_EQ(sent, text.size());
  });
}

/// Looks something up, cancelled at the victim's point: no handle is left, and the next one finds
/// it.
template <class LookUp>
task<> find_twice(victim& v, testing::name_trouble trouble, LookUp look_up) {
  testing::set_name_servers(testing::world(), "127.0.0.1");
  testing::fake_name_server names;
  names.add("four.test", "10.0.0.2");
  names.add("here.test", "127.0.0.1");
  names.add_service("_weir._tcp.test", {.host = "four.test", .port = 1});
  names.set_trouble(trouble);
  co_await with_scope([&](scope& s) -> task<> {
    co_await names.start(s, *address::parse("127.0.0.1:53"));
    const std::size_t before = testing::world().open_handles();
    std::size_t found = 0;
    co_await v.run(look_up(&found));
    EXPECT_TRUE(found == 1 || (found == 0 && v.was_cancelled()));
    co_await sleep(100_ms);  // the server closes its streams
    EXPECT_EQ(testing::world().open_handles(), before);
    found = 0;
    co_await look_up(&found);
    EXPECT_EQ(found, 1u);
    co_await sleep(100_ms);
    EXPECT_EQ(testing::world().open_handles(), before);
    s.cancel();
  });
}
task<> find_host(std::size_t* count) { *count = (co_await resolve("four.test", 80)).size(); }
task<> find_service(std::size_t* count) {
  *count = (co_await resolve_service("_weir._tcp.test")).size();
}

TEST(CancelledOperations, a_lookup_of_a_host_leaves_no_handle_and_the_next_one_finds_it) {
  cancel_at_every_point(
      [](victim& v) -> task<> { co_await find_twice(v, testing::name_trouble::none, find_host); });
  cancel_at_every_point([](victim& v) -> task<> {
    co_await find_twice(v, testing::name_trouble::truncated, find_host);  // goes on by stream
  });
}

task<> call_host(std::size_t* count) {
  const listener door = co_await listen({.port = 80});
  const socket made = co_await connect("here.test", 80);
  ++*count;
}
TEST(CancelledOperations, a_connect_to_a_host_leaves_no_handle_whatever_it_still_waits_for) {
  cancel_at_every_point(
      [](victim& v) -> task<> { co_await find_twice(v, testing::name_trouble::none, call_host); });
  cancel_at_every_point([](victim& v) -> task<> {
    co_await find_twice(v, testing::name_trouble::silent_on_ipv6, call_host);
  });
}

TEST(CancelledOperations, a_lookup_of_a_service_leaves_no_handle_and_the_next_one_finds_it) {
  cancel_at_every_point([](victim& v) -> task<> {
    co_await find_twice(v, testing::name_trouble::none, find_service);
  });
  cancel_at_every_point([](victim& v) -> task<> {
    co_await find_twice(v, testing::name_trouble::truncated, find_service);
  });
}

}  // namespace
}  // namespace weir::cancelled_operations_test
