// Calls for the tests of policies: a server of a script, which counts who is inside.
#pragma once

#include <weir/core.hpp>
#include <weir/flow/call_failure.hpp>
#include <weir/testing/test.hpp>

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace weir::testing {

/// One answer: after how long, and with what; an errc{} is a success.
struct scripted_answer {
  duration after;
  errc code{};
};

/// Gives the answers of its script in order, and the last one for ever. A call's value is its
/// number, from 1.
class scripted {
 public:
  explicit scripted(std::vector<scripted_answer> script) : script_(std::move(script)) {}
  scripted(const scripted&) = delete;
  scripted& operator=(const scripted&) = delete;

  task<int> call() {
    const inside here(*this);
    const scripted_answer mine = script_[std::min(calls++, script_.size() - 1)];
    const int number = static_cast<int>(calls);
    if (mine.after > duration()) co_await sleep(mine.after);
    ++ended;
    if (mine.code != errc{}) raise(error(mine.code, "call " + std::to_string(number)));
    co_return number;
  }
  /// The same with results instead of exceptions.
  task<result<int>> try_call() {
    try {
      co_return co_await call();
    } catch (const exception& e) {
      co_return std::unexpected<error>(e.reason());
    }
  }

  std::size_t calls = 0;
  std::size_t ended = 0;  // those that were not cancelled
  std::size_t inside_now = 0;
  std::size_t inside_max = 0;

 private:
  struct inside {
    scripted& of;
    explicit inside(scripted& what) noexcept : of(what) {
      of.inside_max = std::max(of.inside_max, ++of.inside_now);
    }
    inside(const inside&) = delete;
    inside& operator=(const inside&) = delete;
    ~inside() { --of.inside_now; }
  };

  std::vector<scripted_answer> script_;
};

}  // namespace weir::testing
