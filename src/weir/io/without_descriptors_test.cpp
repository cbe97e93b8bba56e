// A process that has no descriptor left: what needs one is `full`, and nothing is half made.
// Needs the kernel: it counts them.
#include <weir/io/contract_test.hpp>
#include <weir/io/datagram_socket.hpp>
#include <weir/io/file.hpp>
#include <weir/io/lowered_limit_test.hpp>
#include <weir/io/resolve.hpp>

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

namespace weir::without_descriptors_test {
namespace {

using namespace weir::contract;

class without_descriptors : public contract::fixture {
 protected:
  void SetUp() override {
#if __has_feature(undefined_behavior_sanitizer)
    // It looks at objects by way of a pipe, and takes what it can't look at for a wrong one.
    GTEST_SKIP() << "the sanitizer needs descriptors of its own";
#endif
  }

  static int first_free() {
    const int number = ::dup(0);
    ::close(number);
    return number;
  }

  /// make(where) with no descriptor left, with one, with two ..., until it comes to its end. Before
  /// that it is `full`, has taken none, and a file at the path is there or not as it was.
  template <class Where>
  static task<> with_more_and_more(const char* what, task<> (*make)(Where), Where where) {
    const std::string path(where.path);
    const bool was_there = path_status(path).has_value();
    const int free = first_free();
    constexpr int enough = 10;
    int left = 0;
    for (errc code = errc::full; code != errc{} && left < enough; ++left) {
      {
        const lowered_limit few(RLIMIT_NOFILE, static_cast<rlim_t>(free + left));
        code = co_await code_of(make(where));
      }
      if (code == errc{}) continue;
      EXPECT_EQ(code, errc::full) << what << " with " << left << " left";
      EXPECT_EQ(path_status(path).has_value(), was_there) << what << " with " << left << " left";
      EXPECT_EQ(first_free(), free) << what << " with " << left << " left";
    }
    EXPECT_GT(left, 1) << what << " needs a descriptor";
    EXPECT_LT(left, enough) << what << " works at last";
    EXPECT_EQ(first_free(), free) << what << " has given back what it had";
  }
};
INSTANTIATE_TEST_SUITE_P(drivers, without_descriptors, ::testing::ValuesIn(kernel_drivers()),
                         name_of);

TEST_P(without_descriptors, accept_is_full_and_loses_no_connection) {
  run([]() -> task<> {
    listener door = co_await listen({});
    socket client = co_await connect(door.local());
    socket spare = co_await connect(door.local());
    {
      const lowered_limit none(RLIMIT_NOFILE, 3);
      EXPECT_EQ(co_await code_of(door.accept()), errc::full);
      EXPECT_EQ(co_await code_of(connect(door.local())), errc::full);
      EXPECT_EQ(co_await code_of(open_file("/dev/null")), errc::full);
      const resolve_options once{.tries = 1, .servers = "127.0.0.1:1"};
      EXPECT_EQ(co_await code_of(resolve("shop.test", 80, once)), errc::full);
    }
    co_await client.send("hello");
    socket server = co_await door.accept();
    EXPECT_EQ(co_await receive_at_least(server, 5), "hello");
  });
}

task<> listens(listen_settings where) {
  const listener door = co_await listen(where);
  if (!where.path.empty()) co_await remove_path(std::string(where.path));
}
task<> binds(datagram_settings where) {
  const datagram_socket door = bind_datagrams(where);
  if (!where.path.empty()) co_await remove_path(std::string(where.path));
}
task<> opens(datagram_settings) {
  const datagram_socket one = open_datagrams();
  co_return;
}

TEST_P(without_descriptors, to_listen_is_full_and_leaves_nothing_behind) {
  const std::string door = path("door");
  run([&]() -> task<> {
    co_await with_more_and_more("listen", &listens, {});
    co_await with_more_and_more("listen at a path", &listens, {.path = door});
  });
}

TEST_P(without_descriptors, a_socket_of_datagrams_is_full_and_leaves_nothing_behind) {
  const std::string door = path("door");
  run([&]() -> task<> {
    co_await with_more_and_more("bind", &binds, {});
    co_await with_more_and_more("open", &opens, {});
    co_await with_more_and_more("bind to a path", &binds, {.path = door});
  });
}

// Whether somebody listens there is asked with a descriptor more.
TEST_P(without_descriptors, the_path_of_a_dead_socket_is_not_taken_for_one_of_a_living) {
  const std::string where = path("door");
  run([&]() -> task<> {
    {
      const listener dead = co_await listen({.path = where});
    }
    co_await with_more_and_more("listen at a dead path", &listens, {.path = where});
    EXPECT_FALSE(path_status(where)) << "it was there until it was taken over";
  });
}

TEST_P(without_descriptors, a_socket_of_datagrams_that_is_there_goes_on) {
  run([&]() -> task<> {
    datagram_socket server = bind_datagrams();
    datagram_socket client = open_datagrams();
    co_await client.connect(server.local());
    const lowered_limit none(RLIMIT_NOFILE, 3);
    co_await client.send("hello");
    EXPECT_EQ((co_await server.receive()).text(), "hello");
  });
}

}  // namespace
}  // namespace weir::without_descriptors_test
