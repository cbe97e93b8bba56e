// std::future both ways. The hard idea: a std::future can only be waited for by a thread, so one of
// the blocking pool waits, in slices that are short enough to be cancelled between them. A
// simulated run has no threads: whoever fulfils it is a task, and between looks virtual time
// passes.
#pragma once

#include <weir/base/program_here.hpp>
#include <weir/core/as_result.hpp>
#include <weir/core/sleep.hpp>
#include <weir/flow/promise.hpp>
#include <weir/io/blocking.hpp>

#include <future>
#include <utility>

namespace weir {

/// The longest time that a cancelled wait for a std::future still waits.
inline constexpr int std_future_slice_ms = 20;

/// Waits for a std::future on a thread of the blocking pool, which it occupies meanwhile:
/// `int n = co_await from_std_future(std::async(work));` A cancelled wait ends within
/// std_future_slice_ms and leaves the work alone. More of them than the pool has threads take
/// turns, a slice each, behind which other calls stand in line. Where that line is full, and in a
/// simulated run, no thread waits: it is looked at every std_future_slice_ms. A deferred one
/// (std::launch::deferred) runs on the pool, and then it has no slices and may be `full`.
template <class T>
[[nodiscard]] task<T> from_std_future(std::future<T> from) {
  using std::chrono::milliseconds;
  if (from.wait_for(milliseconds(0)) == std::future_status::deferred)
    co_return co_await blocking([&] { return from.get(); });
  const auto* const simulated = detail::program_here;
  const bool is_simulated = simulated && !simulated->may_have_threads;
  while (from.wait_for(milliseconds(0)) != std::future_status::ready) {
    if (!is_simulated) {
      const auto waited =
          co_await as_result(blocking([&] { from.wait_for(milliseconds(std_future_slice_ms)); }));
      co_await checkpoint();
      if (waited) continue;
      if (waited.error().code() != errc::full) raise(waited.error());
    }
    co_await sleep(duration::milliseconds(std_future_slice_ms));
  }
  co_return from.get();
}

namespace detail {

template <class T>
struct std_future_relay final : settle_listener {
  std::promise<T> to;

  void source_settled() noexcept override {
    const core_handle from(std::exchange(source, nullptr));
    if (from->phase() == settled_as::rejected) {
      to.set_exception(from->hear_failure());
    } else if constexpr (std::is_void_v<T>) {
      to.set_value();
    } else {
      to.set_value(std::move(value_of<T>(*from)));
    }
    delete this;
  }
};

}  // namespace detail

/// The same result for code that knows std::future only; any thread.
template <class T>
[[nodiscard]] std::future<T> to_std_future(future<T> from) {
  auto* relay = new detail::std_future_relay<T>();
  std::future<T> given = relay->to.get_future();
  relay->source = from.release();
  WEIR_ASSERT(relay->source && "an empty future is given away");
  if (!relay->source->listen(*relay)) relay->source_settled();
  return given;
}

}  // namespace weir
