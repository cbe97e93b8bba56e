// The verbs of the laws that weir has no call for, as one writes them with with_cleanups and catch.
#pragma once

#include <weir/core/law_programs_test.hpp>

#include <cstdint>
#include <utility>

namespace weir::laws {

enum class end_kind : std::uint8_t { value, error, cancelled };

/// Runs `last` when the body has ended, however it ended.
inline task<int> guarantee(task<int> body, task<int> last) {
  co_return co_await with_cleanups([&](cleanups& after) -> task<int> {
    after.defer_async([&]() -> task<> { co_await std::move(last); });
    co_return co_await std::move(body);
  });
}

/// The same with a finaliser that knows how the body has ended: last(end, f, s).
using last_by_end = task<int> (*)(end_kind how, fiber f, const sample& s);
inline task<int> guarantee_case(task<int> body, last_by_end last, fiber f, const sample& s) {
  end_kind how = end_kind::cancelled;  // which no code of the body's hears of
  co_return co_await with_cleanups([&](cleanups& after) -> task<int> {
    after.defer_async([&]() -> task<> { co_await last(how, f, s); });
    try {
      const int value = co_await std::move(body);
      how = end_kind::value;
      co_return value;
    } catch (...) {
      how = end_kind::error;
      throw;
    }
  });
}

/// Runs `last` only when the body has been cancelled.
inline task<int> on_cancel(task<int> body, task<int> last) {
  bool has_ended = false;
  co_return co_await with_cleanups([&](cleanups& after) -> task<int> {
    after.defer_async([&]() -> task<> {
      if (!has_ended) co_await std::move(last);
    });
    try {
      const int value = co_await std::move(body);
      has_ended = true;
      co_return value;
    } catch (...) {
      has_ended = true;
      throw;
    }
  });
}

/// Runs the second also when the first fails, but not when it is cancelled.
inline task<int> force_right(task<int> first, task<int> second) {
  co_await testing::errors_of(std::move(first));  // which make no difference
  co_await checkpoint();
  co_return co_await std::move(second);
}

}  // namespace weir::laws
