#include <weir/testing/internal/second_look.hpp>

#include <weir/base/text.hpp>
#include <weir/core/dump.hpp>
#include <weir/testing/internal/child_end.hpp>

#include <fmt/format.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <ios>
#include <iterator>
#include <string_view>

namespace weir::testing::detail {

namespace {

constexpr const char* variable = "WEIR_SECOND_LOOK";  // of us only: "2:pos:17"

// What GoogleTest would leave tests out by, repeat them by or write reports to, none of which is
// meant for the second look. Bazel has names of its own.
bool is_about_tests(std::string_view entry) {
  constexpr std::string_view heads[] = {
      "GTEST_", "TESTBRIDGE_TEST_ONLY=", "XML_OUTPUT_FILE=", "TEST_PREMATURE_EXIT_FILE="};
  return std::ranges::any_of(heads, [&](std::string_view head) { return entry.starts_with(head); });
}

// Reports of sanitizers go nowhere in trials, and take long to make.
bool is_of_sanitizer(std::string_view entry) {
  return entry.starts_with("ASAN_OPTIONS=") || entry.starts_with("UBSAN_OPTIONS=") ||
         entry.starts_with("TSAN_OPTIONS=");
}

std::vector<std::string> read_words_of_this_process() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::vector<std::string> words;
  for (std::string word; std::getline(file, word, '\0');) words.push_back(word);
  return words;
}
// Each campaign asks.
const std::vector<std::string>& words_of_this_process() {
  static const std::vector<std::string> words = read_words_of_this_process();
  return words;
}

}  // namespace

second_look::second_look(const std::string& test, std::uint64_t nth)
    : nth_(nth), words_(words_of_this_process()) {
  std::erase_if(words_, [](const std::string& one) { return one.starts_with("--gtest_"); });
  words_.push_back("--gtest_filter=" + test);
  words_.emplace_back("--gtest_also_run_disabled_tests");
  for (std::string& one : words_) argv_.push_back(one.data());
  argv_.push_back(nullptr);
  for (char** one = environ; *one; ++one) {
    if (is_of_sanitizer(*one)) changed_.push_back(*one + std::string(":symbolize=0"));
    if (!is_about_tests(*one) && !is_of_sanitizer(*one)) environment_.push_back(*one);
  }
  for (std::string& one : changed_) environment_.push_back(one.data());
  environment_.push_back(nullptr);
  environment_.push_back(nullptr);
}

void second_look::name_run(const std::string& run) {
  run_ = fmt::format("{}={}:{}", variable, nth_, run);
  environment_[environment_.size() - 2] = run_.data();
}

void second_look::be_other() noexcept {
  be_quiet_child(false);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);  // here the signal that was heard is blocked
  ::execve("/proc/self/exe", argv_.data(), environment_.data());
  ::syscall(SYS_exit_group, EXIT_FAILURE);
  __builtin_unreachable();
}

void second_look::take() noexcept {
  weir::detail::stderr_sink out;
  out.put("weir: what it takes is looked for in another process:\n");
  out.flush();
  child_end end(true);
  const pid_t child = end.is_made() ? ::_Fork() : -1;
  if (child == 0) be_other();
  constexpr std::int64_t ms = std::int64_t{wait_s} * 1'000;
  if (child > 0) {
    end.child_began();
    if (const auto status = end.status_within(child, ms); status && *status == 0) return;
  }
  out.put("weir: the other process did not come to an end of it\n");
}

const std::optional<look_wanted>& second_look_wanted() {
  static const std::optional<look_wanted> wanted = []() -> std::optional<look_wanted> {
    const char* const set = std::getenv(variable);
    if (!set) return std::nullopt;
    const std::string text = set;
    ::unsetenv(variable);  // programs that the test starts are tests of their own
    const std::size_t colon = std::min(text.find(':'), text.size());
    const auto nth = parse_number(std::string_view(text).substr(0, colon));
    auto run = run_name::parse(std::string_view(text).substr(std::min(colon + 1, text.size())));
    if (!nth || !run) return std::nullopt;
    return look_wanted{.nth = *nth, .run = std::move(*run)};
  }();
  return wanted;
}

}  // namespace weir::testing::detail
