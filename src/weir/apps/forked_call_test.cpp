#include <weir/apps/forked_call.hpp>

#include <gtest/gtest.h>

#include <csignal>
#include <stdexcept>

namespace weir::forked_call_test {
namespace {

struct pair_of_numbers {
  int a;
  double b;
};

TEST(forked_call, gives_what_the_call_returns_and_keeps_what_it_changes_to_itself) {
  int touched = 1;
  const auto answer = call_forked([&] {
    touched = 2;
    return pair_of_numbers{7, 0.5};
  });
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->a, 7);
  EXPECT_EQ(answer->b, 0.5);
  EXPECT_EQ(touched, 1);
}

TEST(forked_call, one_that_is_killed_has_no_answer) {
  EXPECT_FALSE(call_forked([] { return std::raise(SIGKILL); }));
}

TEST(forked_call, one_that_fails_has_no_answer) {
  EXPECT_FALSE(call_forked([]() -> int { throw std::runtime_error("on purpose"); }));
}

}  // namespace
}  // namespace weir::forked_call_test
