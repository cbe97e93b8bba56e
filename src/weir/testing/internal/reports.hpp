// For tests of WEIR_TEST itself: what it reports of a body, without failing the test.
#pragma once

#include <weir/testing/internal/caught_failures.hpp>
#include <weir/testing/test.hpp>
#include <weir/testing/test_on_nodes.hpp>

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

/// The word after `head`; empty when that is not there.
inline std::string word_after(const std::string& text, const std::string& head) {
  const std::size_t begin = text.find(head);
  if (begin == std::string::npos) return {};
  const std::size_t from = begin + head.size();
  return text.substr(from, text.find_first_of(" \n", from) - from);
}

}  // namespace weir::testing
