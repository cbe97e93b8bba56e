#include <weir/base/error.hpp>

#include <weir/base/result.hpp>
#include <weir/base/text.hpp>

#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace weir::error_test {
namespace {

TEST(error, a_bare_code_carries_its_place_and_no_text) {
  const unsigned line = __LINE__ + 1;
  const error e(errc::timed_out);
  EXPECT_EQ(e, errc::timed_out);
  EXPECT_EQ(e.message(), "");
  EXPECT_EQ(e.cause(), nullptr);
  EXPECT_EQ(e.place().line(), line);
}

TEST(error, the_chain_of_causes_is_described_newest_first) {
  const error e = error(errc::io, "save settings").caused_by(error::from_os(ENOSPC, "write j.seg"));
  ASSERT_NE(e.cause(), nullptr);
  EXPECT_EQ(e.cause()->code(), errc::no_space);
  EXPECT_EQ(e.cause()->os_code(), ENOSPC);
  EXPECT_EQ(describe(e),
            "io: save settings; because no_space: write j.seg (No space left on device)");
}

TEST(error, attaching_a_cause_to_a_copy_leaves_the_original_alone) {
  const error original(errc::broken, "peer");
  const error extended = error(original).caused_by(error(errc::closed));
  EXPECT_EQ(original.cause(), nullptr);
  EXPECT_NE(extended.cause(), nullptr);
  EXPECT_EQ(extended.message(), "peer");
}

TEST(error, every_code_has_a_name_of_its_own) {
  for (int code = 1; code <= static_cast<int>(errc::internal); ++code) {
    EXPECT_NE(name(static_cast<errc>(code)), "unknown") << code;
  }
  EXPECT_EQ(name(static_cast<errc>(999)), "unknown");
}

TEST(error, a_result_raises_its_error_as_an_exception_that_says_what_happened) {
  result<int> failed = fail(errc::not_found, "queue 'mails'");
  try {
    value_or_raise(std::move(failed));
    FAIL() << "should have thrown";
  } catch (const exception& e) {
    EXPECT_EQ(e.reason(), errc::not_found);
    EXPECT_STREQ(e.what(), "not_found: queue 'mails'");
  }
}

TEST(error, the_text_of_an_exception_lives_as_long_as_it_or_a_copy) {
  const exception one(error(errc::not_found, "queue 'mails'"));
  const exception other(error(errc::full, "queue 'calls'"));
  EXPECT_EQ(std::string(one.what()) + other.what(), "not_found: queue 'mails'full: queue 'calls'");
  const char* first = one.what();
  EXPECT_STREQ(other.what(), "full: queue 'calls'");
  EXPECT_STREQ(first, "not_found: queue 'mails'");
  const char* kept = nullptr;
  const exception copy = [&] {
    const exception gone(error(errc::io, "read"));
    kept = gone.what();
    return exception(gone);
  }();
  EXPECT_STREQ(kept, "io: read");
  EXPECT_STREQ(exception(error(errc::closed)).what(), "closed") << "without a text of its own";
}

TEST(error, the_text_of_an_exception_is_made_once_by_whichever_thread) {
  const exception shared(error(errc::io, "read"));
  const char* seen[4] = {};
  std::vector<std::thread> threads;
  for (const char*& at : seen) threads.emplace_back([&shared, &at] { at = shared.what(); });
  for (std::thread& one : threads) one.join();
  for (const char* at : seen) EXPECT_EQ(at, shared.what());
}

TEST(error, a_cause_that_is_added_after_the_text_was_asked_for_stands_in_it) {
  error what(errc::io, "save");
  EXPECT_STREQ(exception(what).what(), "io: save");
  const exception with(std::move(what).caused_by(error(errc::no_space, "write")));
  EXPECT_STREQ(with.what(), "io: save; because no_space: write");
}

}  // namespace
}  // namespace weir::error_test
