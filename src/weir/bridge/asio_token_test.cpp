#include <weir/bridge/asio_token.hpp>

#include <weir/core.hpp>
#include <weir/testing/cancel_points.hpp>
#include <weir/testing/escape_guard.hpp>
#include <weir/testing/test.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/connect_pair.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <gtest/gtest.h>

#include <cstring>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

namespace weir::asio_token_test {
namespace {

namespace asio = boost::asio;
using namespace weir::literals;

/// Asio's loop on a thread of its own.
class asio_thread {
 public:
  asio_thread() : work_(context.get_executor()), thread_([this] { context.run(); }) {}
  asio_thread(const asio_thread&) = delete;
  asio_thread& operator=(const asio_thread&) = delete;
  ~asio_thread() {
    work_.reset();
    thread_.join();
  }
  asio::io_context context;

 private:
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  std::thread thread_;
};

struct socket_pair {
  asio::local::stream_protocol::socket left;
  asio::local::stream_protocol::socket right;
};
socket_pair connected_pair(asio::io_context& context) {
  const testing::escape_allowed real_sockets;  // they bring Asio's reactor with them
  socket_pair made{.left = asio::local::stream_protocol::socket(context),
                   .right = asio::local::stream_protocol::socket(context)};
  asio::local::connect_pair(made.left, made.right);
  return made;
}

void run(task<> body) { testing::run_virtual(std::move(body), {.world = {.threads = true}}); }

TEST(CrossAsio, operations_are_awaited_with_their_results) {
  run([]() -> task<> {
    asio_thread theirs;
    auto [left, right] = connected_pair(theirs.context);
    std::string text(5, ' ');
    auto reading = asio::async_read(right, asio::buffer(text), use_weir);
    EXPECT_EQ(co_await asio::async_write(left, asio::buffer("hello", 5), use_weir), 5u);
    EXPECT_EQ(co_await reading, 5u);
    EXPECT_EQ(text, "hello");
    asio::steady_timer timer(theirs.context);
    timer.expires_at(asio::steady_timer::time_point::min());
    co_await timer.async_wait(use_weir);
    co_await asio::post(theirs.context, use_weir);
  }());
}

TEST(CrossAsio, errors_are_those_of_weir) {
  run([]() -> task<> {
    asio_thread theirs;
    auto [left, right] = connected_pair(theirs.context);
    std::string text(5, ' ');
    auto reading = asio::async_read(right, asio::buffer(text), use_weir);
    left.close();
    co_await testing::expect_raises<errc::end_of_stream>(std::move(reading));
    auto closed = co_await as_result(left.async_read_some(asio::buffer(text), use_weir));
    EXPECT_EQ(closed.error().os_code(), EBADF);
  }());
}

asio::awaitable<int> add(int a, int b) {
  co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
  if (b < 0) throw std::runtime_error("theirs");
  co_return a + b;
}

TEST(CrossAsio, an_awaitable_gives_its_value_or_its_exception) {
  run([]() -> task<> {
    asio_thread theirs;
    EXPECT_EQ(co_await asio::co_spawn(theirs.context, add(2, 3), use_weir), 5);
    auto failed = asio::co_spawn(theirs.context, add(2, -3), use_weir);
    try {
      co_await failed;
      ADD_FAILURE() << "it throws";
    } catch (const std::runtime_error& e) {
      EXPECT_STREQ(e.what(), "theirs");
    }
  }());
}

TEST(CrossAsio, a_context_that_goes_breaks_what_it_has_not_done) {
  future<> waiting;
  {
    asio::io_context context;
    asio::steady_timer timer(context);
    timer.expires_at(asio::steady_timer::time_point::max());
    waiting = timer.async_wait(use_weir);
    timer.cancel();  // its handler is queued, and nobody runs it
  }
  EXPECT_TRUE(waiting.is_ready());
  const auto reason = detail::error_of(waiting.failure());
  EXPECT_EQ(reason.code(), errc::broken);
}

// Asio's sockets are real ones, also in the virtual world, and nobody waits in them.
void poll(asio::io_context& context) {
  const testing::escape_allowed real_sockets;
  context.restart();
  context.poll();
}

/// Asio's loop as a task of ours: then every step of both is one that the virtual world knows.
task<> run_theirs(asio::io_context* context, const bool* is_over) {
  while (!*is_over) {
    poll(*context);
    co_await yield();
  }
}
bool is_idle(asio::io_context& context) {
  poll(context);
  return context.stopped();  // no operation is left
}
task<> write_words(asio::local::stream_protocol::socket* to) {
  for (const char* word : {"one ", "two ", "three"}) {
    for (int i = 0; i < 3; ++i) co_await yield();
    asio::write(*to, asio::buffer(word, std::strlen(word)));
  }
  to->shutdown(asio::socket_base::shutdown_send);
}
std::string rest_of(asio::local::stream_protocol::socket& from) {
  std::string all;
  boost::system::error_code end;
  asio::read(from, asio::dynamic_buffer(all), end);
  return all;
}

using local_socket = asio::local::stream_protocol::socket;

/// Cancels what reads the words at the victim's point; none of its operations is left. Gives what
/// it has not read.
template <class Read>
task<std::string> rest_after(testing::victim& v, Read read, std::string* got) {
  asio::io_context context;
  socket_pair ends = connected_pair(context);
  bool is_over = false;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(run_theirs, &context, &is_over);
    s.spawn(write_words, &ends.left);
    co_await v.run(read(&context, &ends.right, got));
    is_over = true;
    EXPECT_TRUE(is_idle(context));
  });
  co_return rest_of(ends.right);
}

task<> read_words(asio::io_context*, local_socket* from, std::string* to) {
  char memory[4];  // gone with this frame
  while (to->size() < 13) {
    to->append(memory, co_await from->async_read_some(asio::buffer(memory), use_weir));
  }
}

task<> read_words_as_results(asio::io_context*, local_socket* from, std::string* to) {
  char memory[4];
  while (to->size() < 13) {
    const auto count = co_await as_result(from->async_read_some(asio::buffer(memory), use_weir));
    if (!count) co_return;
    to->append(memory, *count);
  }
}
task<> read_words_in_time(asio::io_context*, local_socket* from, std::string* to) {
  char memory[4];
  while (to->size() < 13) {
    auto reading = from->async_read_some(asio::buffer(memory), use_weir);
    to->append(memory, co_await with_timeout(1_h, reading));
  }
}

template <auto read>
void expect_no_word_is_lost() {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    std::string got;
    const std::string rest = co_await rest_after(v, read, &got);
    EXPECT_EQ(got + rest, "one two three");
  });
}

TEST(Asio, a_cancelled_wait_has_ended_its_operation_and_taken_what_it_gave_and_no_more) {
  expect_no_word_is_lost<&read_words>();
  expect_no_word_is_lost<&read_words_as_results>();
  expect_no_word_is_lost<&read_words_in_time>();
}

task<> run_out_of_time(local_socket* from) {
  char memory[4];
  co_await testing::expect_raises<errc::timed_out>(
      with_timeout(duration(0), from->async_read_some(asio::buffer(memory), use_weir)));
  const auto late = co_await as_result(
      with_timeout(duration(0), from->async_read_some(asio::buffer(memory), use_weir)));
  EXPECT_EQ(late.error().code(), errc::timed_out);
}

/// Runs `use` on a socket of theirs, of which no operation is left then.
task<> use_a_socket(task<> (*use)(local_socket*)) {
  asio::io_context context;
  socket_pair ends = connected_pair(context);
  bool is_over = false;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(run_theirs, &context, &is_over);
    co_await use(&ends.right);
    is_over = true;
    EXPECT_TRUE(is_idle(context));
  });
}

TEST(Asio, a_time_out_ends_the_operation_before_the_task_goes_on) {
  run(use_a_socket(run_out_of_time));
}

/// A coroutine of theirs that works in memory of ours.
asio::awaitable<void> read_all(local_socket* from, std::string* to) {
  char memory[4];
  while (to->size() < 13) {
    to->append(memory, co_await from->async_read_some(asio::buffer(memory), asio::use_awaitable));
  }
}
task<> await_theirs(asio::io_context* on, local_socket* from, std::string* to) {
  std::string ours;
  co_await asio::co_spawn(*on, read_all(from, &ours), use_weir);
  *to = ours;
}

TEST(Asio, a_cancelled_wait_for_an_awaitable_has_ended_it) {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    std::string got;
    co_await rest_after(v, await_theirs, &got);
    EXPECT_TRUE(got == "one two three" || (got.empty() && v.was_cancelled()));
  });
}

task<> read_in_a_cancelled_scope(local_socket* from) {
  co_await with_scope([&](scope& s) -> task<> {
    s.cancel("before it begins");
    char memory[4];
    co_await from->async_read_some(asio::buffer(memory), use_weir);
    ADD_FAILURE() << "nobody sends";
  });
}

TEST(Asio, an_operation_that_begins_in_a_cancelled_task_is_cancelled_and_waited_for) {
  run(use_a_socket(read_in_a_cancelled_scope));
}

// It began before the await, and a select would leave it alone with the task's memory.
static_assert(cancel_safety_of<asio_operation<int>> == cancel_safety::partial);

TEST(CrossAsio, a_cancelled_wait_ends_an_operation_that_lives_on_another_thread) {
  for (int round = 0; round < 20; ++round) {
    run([]() -> task<> {
      asio_thread theirs;
      asio::steady_timer timer(theirs.context);
      timer.expires_at(asio::steady_timer::time_point::max());
      co_await with_scope([&](scope& s) -> task<> {
        s.spawn([&]() -> task<> {
          co_await yield();
          s.cancel("enough");
        });
        co_await timer.async_wait(use_weir);
        ADD_FAILURE() << "it has no end of its own";
      });
      EXPECT_EQ(timer.cancel(), 0u) << "nobody waits for it any more";
    }());
  }
}

}  // namespace
}  // namespace weir::asio_token_test
