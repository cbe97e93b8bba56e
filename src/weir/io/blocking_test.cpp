// blocking() and the pool under it, on every driver that has one.
// Needs the kernel: its threads are real ones.
#include <weir/io/blocking.hpp>

#include <weir/core/local.hpp>
#include <weir/core/log_field.hpp>
#include <weir/core/log_listener_test.hpp>
#include <weir/io/blocking_pool.hpp>
#include <weir/io/busy_thread_test.hpp>
#include <weir/io/contract_test.hpp>
#include <weir/io/internal/spawn_child.hpp>
#include <weir/testing/allocations.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <functional>
#include <memory>
#include <semaphore>
#include <stdexcept>
#include <string>
#include <thread>

namespace weir::blocking_test {
namespace {

using namespace weir::literals;
using namespace weir::contract;

class blocking_call : public contract::fixture {};
INSTANTIATE_TEST_SUITE_P(drivers, blocking_call, ::testing::ValuesIn(kernel_drivers()), name_of);

TEST_P(blocking_call, gives_its_value_from_another_thread) {
  run([]() -> task<> {
    const auto here = std::this_thread::get_id();
    auto outcome = co_await blocking(
        [] { return std::make_unique<std::thread::id>(std::this_thread::get_id()); });
    EXPECT_NE(*outcome, here);
    EXPECT_EQ(std::this_thread::get_id(), here);
    bool ran = false;
    co_await blocking([&] { ran = true; });
    EXPECT_TRUE(ran);
  });
}

TEST_P(blocking_call, has_the_values_of_scopes_and_the_log_fields_of_its_caller) {
  static constinit const local<std::string> tenant{"tenant"};
  testing::log_listener log;
  const auto ask = [&]() -> task<> {
    co_await blocking([] {
      const std::string* const found = tenant.get();
      log::info("asked", {{"tenant", found ? *found : "none"}});
    });
  };
  run([&]() -> task<> {
    log.lines.clear();  // of what the driver has said
    co_await with_local(tenant, "ada", with_log_field("request", "7", ask()));
    co_await ask();
  });
  EXPECT_THAT(log.lines, ::testing::ElementsAre("asked tenant=ada request=7", "asked tenant=none"));
}

TEST_P(blocking_call, throws_what_the_call_threw) {
  run([]() -> task<> {
    std::string said;
    try {
      co_await blocking([] { throw std::runtime_error("no luck"); });
    } catch (const std::runtime_error& e) {
      said = e.what();
    }
    EXPECT_EQ(said, "no luck");
    const auto refused =
        co_await as_result(blocking([]() -> int { raise(error(errc::refused, "no")); }));
    EXPECT_EQ(refused.error().code(), errc::refused);
  });
}

TEST_P(blocking_call, many_share_a_few_threads) {
  run(
      []() -> task<> {
        std::atomic<int> at_once = 0;
        std::atomic<int> at_once_max = 0;
        std::atomic<int> ran = 0;
        co_await with_scope([&](scope& s) -> task<> {
          for (int i = 0; i < 300; ++i) {
            s.spawn([&]() -> task<> {
              co_await blocking([&] {
                const int now = ++at_once;
                int seen = at_once_max;
                while (seen < now && !at_once_max.compare_exchange_weak(seen, now)) {
                }
                std::this_thread::yield();
                ++ran;
                --at_once;
              });
            });
          }
          co_await s.join();
        });
        EXPECT_EQ(ran, 300);
        EXPECT_LE(at_once_max, 3);
      },
      {.blocking_threads_max = 3});
}

TEST_P(blocking_call, a_full_queue_refuses) {
  run(
      []() -> task<> {
        busy_thread one;
        int refused = 0;
        co_await with_scope([&](scope& s) -> task<> {
          s.spawn([&]() -> task<> { co_await blocking(std::ref(one)); });
          co_await yield();
          one.begun.acquire();
          for (int i = 0; i < 5; ++i) {
            s.spawn([&]() -> task<> {
              refused += co_await code_of(blocking([] { return 1; })) == errc::full;
            });
          }
          for (int i = 0; i < 5; ++i) co_await yield();
          EXPECT_EQ(refused, 3);
          one.gate.release();
          co_await s.join();
        });
        EXPECT_EQ(refused, 3);
      },
      {.blocking_threads_max = 1, .blocking_queue_max = 2});
}

TEST_P(blocking_call, a_cancel_takes_back_what_has_not_begun_and_waits_for_what_has_T21) {
  run(
      []() -> task<> {
        std::binary_semaphore gate(0);
        std::binary_semaphore begun(0);
        std::atomic<bool> has_ended = false;
        bool was_delivered = false;
        std::atomic<int> others = 0;
        co_await with_scope([&](scope& s) -> task<> {
          s.spawn([&]() -> task<> {
            co_await blocking([&] {
              begun.release();
              gate.acquire();
              has_ended = true;
            });
            was_delivered = true;
            co_await checkpoint();
            ADD_FAILURE() << "the next wait ends the task";
          });
          co_await yield();
          begun.acquire();
          for (int i = 0; i < 5; ++i)
            s.spawn([&]() -> task<> { co_await blocking([&] { ++others; }); });
          co_await yield();
          s.cancel("test");
          gate.release();
        });
        EXPECT_TRUE(has_ended);
        EXPECT_TRUE(was_delivered);
        EXPECT_EQ(others, 0);
      },
      {.blocking_threads_max = 1});
}

TEST(blocking_pool, a_job_without_memory_for_its_thread_is_refused) {
  if (!testing::are_allocations_ours()) GTEST_SKIP() << "allocations can't fail here";
  std::binary_semaphore done{0};
  detail::blocking_pool pool(
      {},
      [](void* to, io_request&) noexcept { static_cast<std::binary_semaphore*>(to)->release(); },
      &done);
  io_request job;
  job.op = io_op::run_blocking;
  job.function = [](void*) {};
  {
    const testing::failing_allocation first(1);
    EXPECT_EQ(pool.submit(job), -EAGAIN);
  }
  ASSERT_EQ(pool.submit(job), 0);
  done.acquire();
}

TEST(blocking_pool, a_child_without_memory_is_not_started) {
  if (!testing::are_allocations_ours()) GTEST_SKIP() << "allocations can't fail here";
  child_host& here = detail::kernel_children();
  const child_plan plan = value_or_raise(detail::plan_of(here, command("true")));
  const testing::failing_allocation first(1);
  EXPECT_EQ(here.start_child(plan).failure, ENOMEM);
}

}  // namespace
}  // namespace weir::blocking_test
