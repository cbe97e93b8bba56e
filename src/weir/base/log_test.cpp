#include <weir/base/log.hpp>

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace weir::log::log_test {
namespace {

class log_lines : public ::testing::Test {
 protected:
  void SetUp() override {
    before_ = set_sink({[](void* context, level severity, std::string_view text) noexcept {
                          auto* self = static_cast<log_lines*>(context);
                          self->levels.push_back(severity);
                          self->lines.emplace_back(text);
                        },
                        this});
    set_level(level::info);
  }
  void TearDown() override {
    (void)set_sink(before_);
    set_level(level::info);
  }

  std::vector<level> levels;
  std::vector<std::string> lines;

 private:
  sink before_;
};

TEST_F(log_lines, an_event_is_its_text_and_its_fields_in_order) {
  info("listening", {{"address", "127.0.0.1:8420"},
                     {"port", 8420},
                     {"offset", -1L},
                     {"ratio", 0.5},
                     {"durable", true},
                     {"bytes", UINT64_MAX}});
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0],
            "listening address=127.0.0.1:8420 port=8420 offset=-1 ratio=0.5 durable=true "
            "bytes=18446744073709551615");
  EXPECT_EQ(levels[0], level::info);
}

TEST_F(log_lines, values_of_strangers_can_not_forge_a_line_or_a_field) {
  warn("refused\nINFO fine", {{"name", "x\ninfo all is well"}, {"path", "a b=\"c\\\x1b[31m"}});
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0],
            "refused\\nINFO fine name=\"x\\ninfo all is well\" path=\"a b=\\\"c\\\\\\x1b[31m\"");
}

TEST_F(log_lines, an_empty_value_is_shown_as_one) {
  info("x", {{"key", ""}});
  EXPECT_EQ(lines.at(0), "x key=\"\"");
}

TEST_F(log_lines, levels_below_the_chosen_one_are_silent) {
  debug("quiet");
  set_level(level::debug);
  debug("heard");
  trace("quiet");
  set_level(level::off);
  error("quiet");
  EXPECT_EQ(lines, std::vector<std::string>{"heard"});
  EXPECT_FALSE(is_on(level::off));
}

TEST_F(log_lines, a_long_event_is_cut_and_says_so) {
  info("x", {{"a", std::string(100'000, 'a')}, {"b", std::string(100'000, '\n')}});
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].size(), detail::line_bytes_max);
  EXPECT_TRUE(lines[0].ends_with("..."));
}

TEST(log_level, names_of_levels_are_those_of_the_environment_variable) {
  EXPECT_EQ(parse_level("trace", level::info), level::trace);
  EXPECT_EQ(parse_level("warn", level::info), level::warn);
  EXPECT_EQ(parse_level("warning", level::info), level::warn) << "as lines say";
  EXPECT_EQ(parse_level("off", level::info), level::off);
  EXPECT_EQ(parse_level("loud", level::error), level::error);
}

TEST(log_standard_error, a_line_has_the_time_in_utc_and_the_level) {
  set_level(level::info);
  ::testing::internal::CaptureStderr();
  error("disk full", {{"left", 0}});
  const std::string said = ::testing::internal::GetCapturedStderr();
  EXPECT_TRUE(::testing::internal::RE::FullMatch(
      said, "[0-9]+-[0-9]+-[0-9]+T[0-9]+:[0-9]+:[0-9]+.[0-9]+Z error disk full left=0\n"))
      << said;
}

}  // namespace
}  // namespace weir::log::log_test
