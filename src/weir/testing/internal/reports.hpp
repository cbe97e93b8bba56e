// For tests of WEIR_TEST itself: what it reports of a body, without failing the test.
#pragma once

#include <weir/testing/internal/caught_failures.hpp>
#include <weir/testing/test.hpp>
#include <weir/testing/test_on_nodes.hpp>

#include <stdio.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdlib>
#include <optional>
#include <source_location>
#include <string>

namespace weir::testing {

/// What run_schedules() reports of a body at `place`, whose file's sometimes() count; empty when it
/// passes.
inline std::string report_of(task<> (*body)(),
                             std::source_location place = std::source_location::current()) {
  const caught_failures caught;
  run_schedules(body, place);
  return caught.text();
}
inline std::string report_of(void (*body)(explored_nodes&),
                             std::source_location place = std::source_location::current()) {
  const caught_failures caught;
  run_schedules(body, place);
  return caught.text();
}

/// While it exists, a variable of the environment is another one.
class with_environment {
 public:
  with_environment(const char* name, const std::string& value) : name_(name) {
    if (const char* const before = std::getenv(name)) before_ = before;
    ::setenv(name, value.c_str(), 1);
  }
  with_environment(const with_environment&) = delete;
  with_environment& operator=(const with_environment&) = delete;
  ~with_environment() {
    if (before_) {
      ::setenv(name_, before_->c_str(), 1);
    } else {
      ::unsetenv(name_);
    }
  }

 private:
  const char* name_;
  std::optional<std::string> before_;
};

/// What a process has said, and how it ended.
struct told {
  std::string text;
  int status = 0;
};

/// What this program, begun anew for the tests of a filter, says in all; `before` are variables.
inline told told_by_this_program(const std::string& before, const std::string& filter) {
  std::array<char, 4096> some{};
  if (::readlink("/proc/self/exe", some.data(), some.size() - 1) < 0) return {};
  // Not the share of all tests that this process was given.
  const std::string command = "env -u GTEST_TOTAL_SHARDS -u GTEST_SHARD_INDEX " + before + " " +
                              some.data() + " --gtest_filter=" + filter + " 2>&1";
  told all;
  FILE* const from = ::popen(command.c_str(), "r");
  while (const std::size_t count = ::fread(some.data(), 1, some.size(), from)) {
    all.text.append(some.data(), count);
  }
  all.status = ::pclose(from);
  return all;
}

/// What the test that runs says in a process of its own, which has the variable `here` and `before`
/// in its environment; nothing in that process.
inline std::optional<told> told_by_this_test(const char* here, const std::string& before = {}) {
  if (std::getenv(here)) return std::nullopt;
  const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
  return told_by_this_program(std::string(here) + "=1 " + before,
                              std::string(test->test_suite_name()) + "." + test->name());
}

/// The word after `head`; empty when that is not there.
inline std::string word_after(const std::string& text, const std::string& head) {
  const std::size_t begin = text.find(head);
  if (begin == std::string::npos) return {};
  const std::size_t from = begin + head.size();
  return text.substr(from, text.find_first_of(" \n", from) - from);
}

}  // namespace weir::testing
