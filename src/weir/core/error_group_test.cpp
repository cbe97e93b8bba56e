#include <weir/core/error_group.hpp>

#include <weir/base/error.hpp>
#include <weir/core/error_trace.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <exception>
#include <stdexcept>
#include <string>
#include <thread>

namespace weir::error_group_test {
namespace {

using ::testing::HasSubstr;

error_group group_of(std::initializer_list<std::exception_ptr> failures) {
  detail::error_list* list = detail::make_error_list();
  std::uint64_t id = 0;
  for (const std::exception_ptr& one : failures) {
    detail::failure failed;
    failed.what = one;
    failed.task = ++id;
    failed.scope = "s";
    list->add(failed);
  }
  return error_group(list);
}
std::exception_ptr made(const char* text) {
  return std::make_exception_ptr(exception(error(errc::broken, text)));
}

TEST(ErrorGroup, gives_its_errors_in_order) {
  const error_group group = group_of({made("one"), made("two")});
  EXPECT_EQ(group.size(), 2u);
  EXPECT_EQ(group.dropped(), 0u);
  EXPECT_EQ(group.first(), group[0]);
  EXPECT_NE(group[0], group[1]);
}

TEST(ErrorGroup, its_text_numbers_the_errors_and_names_code_task_and_scope) {
  const error_group group =
      group_of({made("first text"), std::make_exception_ptr(std::runtime_error("std's")),
                std::make_exception_ptr(5)});
  const std::string text = group.what();
  EXPECT_THAT(text, HasSubstr("3 errors:"));
  EXPECT_THAT(text, HasSubstr("[1] broken: first text"));
  EXPECT_THAT(text, HasSubstr("error_group_test.cpp:"));
  EXPECT_THAT(text, HasSubstr("[2] std's"));
  EXPECT_THAT(text, HasSubstr("[3] an exception that is not a std::exception"));
  EXPECT_THAT(text, HasSubstr("task 3 of scope \"s\""));
  EXPECT_THAT(std::string(group_of({made("x")}).what()), HasSubstr("1 error:"));
}

TEST(ErrorGroup, a_group_inside_of_another_stands_behind_its_number) {
  const std::exception_ptr two[] = {made("in one"), made("in two")};
  const error_group group =
      group_of({made("out"), std::make_exception_ptr(error_group::of(two, 2, "inner"))});
  const std::string text = group.what();
  EXPECT_THAT(text, HasSubstr("\n  [1] broken: out"));
  EXPECT_THAT(text, HasSubstr("\n  [2] 2 errors:\n      [1] broken: in one"));
  EXPECT_THAT(text, HasSubstr("\n      [2] broken: in two"));
  EXPECT_THAT(text, HasSubstr("\n    task 2 of scope \"s\"")) << "of the outer one";
}

TEST(ErrorGroup, copies_share_their_errors_and_outlive_the_original) {
  std::exception_ptr kept;
  {
    const error_group group = group_of({made("shared")});
    const error_group copy = group;  // NOLINT(performance-unnecessary-copy-initialization): tested
    kept = std::make_exception_ptr(copy);
  }
  try {
    std::rethrow_exception(kept);
  } catch (const error_group& group) {
    EXPECT_THAT(std::string(group.what()), HasSubstr("shared"));
  }
}

TEST(ErrorGroup, each_text_lives_as_long_as_its_group_or_a_copy) {
  const error_group both = group_of({made("late"), std::make_exception_ptr(std::bad_alloc())});
  const auto [late, rest] = both.split_by<exception>();
  const std::string together = std::string(late.what()) + rest.what();
  EXPECT_THAT(together, HasSubstr("broken: late"));
  EXPECT_THAT(together, HasSubstr("bad_alloc"));
  const char* text = late.what();
  EXPECT_EQ(text, error_group(late).what());
  (void)both.what();
  EXPECT_THAT(text, HasSubstr("1 error:"));
}

TEST(ErrorGroup, copies_may_end_on_different_threads) {
  const error_group group = group_of({made("x")});
  std::thread threads[4];
  for (std::thread& t : threads) {
    t = std::thread([copy = group] {
      for (int i = 0; i < 1000; ++i) static_cast<void>(error_group(copy));
      EXPECT_EQ(copy.size(), 1u);
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(group.size(), 1u);
}

TEST(ErrorGroup, keeps_64_errors_and_counts_the_rest) {
  detail::error_list* list = detail::make_error_list();
  for (int i = 0; i < 70; ++i) {
    detail::failure failed;
    failed.what = made("many");
    list->add(failed);
  }
  const error_group group(list);
  EXPECT_EQ(group.size(), 64u);
  EXPECT_EQ(group.dropped(), 6u);
  EXPECT_THAT(std::string(group.what()), HasSubstr("and 6 more that were not kept"));
}

TEST(ErrorGroup, is_split_by_a_question_or_by_type_and_keeps_order_and_traces) {
  detail::error_list* list = detail::make_error_list();
  auto* trace = detail::make_error_trace();
  trace->count = 1;
  list->add({.what = made("a"), .trace = trace, .task = 7, .spawned_at = {}, .scope = "s"});
  list->add({.what = std::make_exception_ptr(std::runtime_error("b")), .spawned_at = {}});
  list->add({.what = made("c"), .spawned_at = {}});
  const error_group all(list);
  const auto [ours, others] = all.split_by<exception>();
  EXPECT_EQ(ours.size(), 2u);
  EXPECT_EQ(ours.first(), all[0]);
  EXPECT_EQ(ours[1], all[2]);
  EXPECT_EQ(others.size(), 1u);
  EXPECT_THAT(std::string(ours.what()), HasSubstr("in "));
  EXPECT_THAT(std::string(ours.what()), HasSubstr("task 7"));
  const auto [first, rest] =
      all.split([&](const std::exception_ptr& one) { return one == all[0]; });
  EXPECT_EQ(first.size(), 1u);
  EXPECT_EQ(rest.size(), 2u);
  EXPECT_TRUE(all.split([](const auto&) { return false; }).wanted.is_empty());
}

TEST(ErrorGroup, is_split_with_all_groups_that_are_in_it) {
  const std::exception_ptr bug = std::make_exception_ptr(std::runtime_error("bug"));
  const std::exception_ptr deep[] = {made("a"), bug};
  const std::exception_ptr middle[] = {std::make_exception_ptr(error_group::of(deep, 2, "deep")),
                                       made("b")};
  const std::exception_ptr bugs[] = {bug, bug};
  const std::exception_ptr outer[] = {std::make_exception_ptr(error_group::of(middle, 2, "middle")),
                                      std::make_exception_ptr(error_group::of(bugs, 2, "bugs")),
                                      made("c")};
  const error_group all = error_group::of(outer, 3, "outer");
  const auto [ours, others] = all.split_by<exception>();
  ASSERT_EQ(ours.size(), 3u);
  EXPECT_EQ(ours[0], deep[0]);
  EXPECT_EQ(ours[1], middle[1]);
  EXPECT_EQ(ours[2], outer[2]);
  ASSERT_EQ(others.size(), 2u) << "a group with nothing that is wanted stays whole";
  EXPECT_EQ(others[0], bug);
  EXPECT_EQ(others[1], outer[1]);
  EXPECT_EQ(all.split_by<error_group>().wanted.size(), 2u) << "one that is wanted is not opened";
}

TEST(ErrorGroup, is_raised_whole_or_as_its_only_error_or_not_at_all) {
  const std::exception_ptr errors[] = {made("a"), std::make_exception_ptr(std::runtime_error("b"))};
  error_group::of(errors, 0, "by hand").raise_if_any();
  EXPECT_THROW(error_group::of(errors, 1, "by hand").raise_if_any(), exception);
  EXPECT_THROW(error_group::of(errors + 1, 1, "by hand").raise_if_any(), std::runtime_error);
  try {
    error_group::of(errors, 2, "by hand").raise_if_any();
    ADD_FAILURE() << "nothing was thrown";
  } catch (const error_group& e) {
    EXPECT_EQ(e.size(), 2u);
    EXPECT_THAT(std::string(e.what()), HasSubstr("[2] b"));
  }
}

}  // namespace
}  // namespace weir::error_group_test
