#include <weir/testing/test.hpp>

#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/testing/detail/test_names.hpp>

#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

namespace weir::test_test {
namespace {

using namespace weir::literals;

WEIR_TEST("an hour of sleep costs no time and is an hour of virtual time (T25)") {
  co_await sleep(1_h);
  EXPECT_EQ(testing::elapsed(), 1_h);
}

task<> append(std::string* to, char what) {
  to->push_back(what);
  co_return;
}

std::set<std::string>& orders_seen() {
  static std::set<std::string> seen;
  return seen;
}
task<> three_tasks() {
  std::string order;
  co_await with_scope([&](scope& s) -> task<> {
    for (const char c : {'a', 'b', 'c'}) s.spawn(append, &order, c);
    co_await s.join();
  });
  orders_seen().insert(order);
}

TEST(Schedules, explore_every_order_of_three_tasks_and_begin_with_the_plain_one_L6) {
  orders_seen().clear();
  testing::run_schedules(&three_tasks, std::source_location::current());
  EXPECT_EQ(orders_seen().size(), 6u);

  std::string plain;
  testing::run_virtual([](std::string* out) -> task<> {
    co_await with_scope([&](scope& s) -> task<> {
      for (const char c : {'a', 'b', 'c'}) s.spawn(append, out, c);
      co_await s.join();
    });
  }(&plain));
  EXPECT_EQ(plain, "abc");
}

TEST(Names, are_such_that_a_filter_finds_them) {
  EXPECT_EQ(testing::detail::suite_of("src/scope_test.cpp"), "scope_test");
  EXPECT_EQ(testing::detail::suite_of("seat-office_test.cpp"), "seat_office_test")
      << "in a filter '-' begins what is left out";
  EXPECT_EQ(testing::detail::name_of("a seat - or two? - is sold"), "a_seat_or_two_is_sold");
}
WEIR_TEST("???") {
  co_await yield();
  const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
  EXPECT_EQ(test->name(), "line_" + std::to_string(test->line())) << "no letters";
}

TEST(Run, an_error_that_leaves_the_body_fails_the_test_with_its_text) {
  EXPECT_NONFATAL_FAILURE(testing::run_virtual([]() -> task<> {
                            co_await sleep(1_ms);
                            raise(error(errc::not_found, "no such queue"));
                          }()),
                          "no such queue");
}

TEST(Run, a_report_fails_the_test) {
  EXPECT_NONFATAL_FAILURE(testing::run_virtual([]() -> task<> {
                            co_await with_scope({.failures = weir::report}, [](scope& s) -> task<> {
                              s.spawn([]() -> task<> {
                                raise(error(errc::busy, "a reported one"));
                                co_return;
                              });
                              co_await s.join();
                            });
                          }()),
                          "a reported one");
}

TEST(Run, an_open_socket_at_the_end_fails_the_test_L4) {
  EXPECT_NONFATAL_FAILURE(testing::run_virtual([]() -> task<> {
                            loop::current()->io().make_socket(2);
                            co_return;
                          }()),
                          "left open: 1");
  testing::run_virtual(
      []() -> task<> {
        loop::current()->io().make_socket(2);
        co_return;
      }(),
      {.may_leave_handles = true});
}

TEST(ExpectRaises, fails_without_an_error_and_with_another_one) {
  EXPECT_NONFATAL_FAILURE(testing::run_virtual([]() -> task<> {
                            co_await testing::expect_raises<errc::closed>(sleep(1_ms));
                          }()),
                          "expected closed, but there was no error");
  EXPECT_NONFATAL_FAILURE(testing::run_virtual([]() -> task<> {
                            auto fails = []() -> task<int> {
                              raise(error(errc::full));
                              co_return 1;
                            };
                            co_await testing::expect_raises<errc::closed>(fails());
                          }()),
                          "expected closed, but the error was full");
}

WEIR_TEST("expect_raises passes for the error that was raised") {
  auto fails = []() -> task<int> {
    co_await yield();
    raise(error(errc::full));
  };
  co_await testing::expect_raises<errc::full>(fails());
}

}  // namespace
}  // namespace weir::test_test
