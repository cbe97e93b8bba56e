// Loops that know each other and call each other: `co_await weir::cores().call(2, f, args...)`. The
// hard idea: a call is one node in the frame that awaits it. It waits in a line of the other core
// until that core's loop comes by, runs there as a task of a scope that the core's program owns,
// and is posted home when that task has ended. So whoever calls outlives what was called, whatever
// ends first.
//
// The group has no threads: run_on_all_cores makes one with a loop on each; a test makes one with
// several loops of one thread.
#pragma once

#include <weir/base/hash.hpp>
#include <weir/base/intrusive.hpp>
#include <weir/core/detail/awaited_at.hpp>
#include <weir/core/detail/core_call.hpp>
#include <weir/core/scope.hpp>
#include <weir/core/task.hpp>
#include <weir/core/with_scope.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <source_location>
#include <string_view>
#include <utility>
#include <vector>

namespace weir {

/// A core by its number, and where it was called.
struct core_place {
  template <std::integral I>
  core_place(I number,
             std::source_location at = std::source_location::current()) noexcept  // NOLINT
      : index(static_cast<std::size_t>(number)), place(at) {}
  std::size_t index;
  std::source_location place;
};

struct core_group_options {
  const char* name = "cores";    // a literal
  std::size_t calls_max = 4096;  // to one core, that wait or run there; more raise `full`
};

/// Of one core.
struct core_stats {
  std::size_t waiting = 0;    // calls to it that have not begun
  std::size_t begun = 0;      // calls that run there
  std::uint64_t ended = 0;    // calls that came to an end, and those that were taken back
  std::uint64_t refused = 0;  // `full` or `closed`
};

namespace detail {

/// Hears of cores that have no program any more, or will never have one.
class core_watch : public list_hook<> {
 public:
  /// From any thread, perhaps twice.
  virtual void core_closed(std::size_t index) noexcept = 0;

 protected:
  core_watch() = default;
  ~core_watch() = default;
};
struct core_watches;

}  // namespace detail

/// Loops, one for each core, that call each other.
///
/// Cancel:  a call that has not begun is taken back, and did not happen; one that has is cancelled
///          over there and awaited; a value that is there is delivered.
/// Order:   calls of one loop to one core begin in the order in which they were made.
/// Bound:   calls_max for each core. Beyond it call() raises `full` rather than wait: two cores
///          full of calls that wait for each other would never end.
/// Errors:  what the call raises, as it is; `closed` when the core's program ended before the call
///          began, so that it did not happen; `broken` when it was cut off there.
/// Threads: any; made and destroyed by one, before and after all loops of its cores.
class core_group {
 public:
  explicit core_group(std::size_t size, core_group_options options = {});
  core_group(const core_group&) = delete;
  core_group& operator=(const core_group&) = delete;
  ~core_group();

  /// Runs the program of a core, on the running task's loop; once for each core. Calls to it begin
  /// from here on. When the program has ended no more begin, and those that have are awaited; when
  /// it fails or is cancelled, they are cancelled. Errors arrive as one error_group.
  task<> run(std::size_t index, task<> program);
  /// The core will have no program: calls to it raise `closed`. Idempotent; any thread.
  void close(std::size_t index) noexcept;
  /// For sharded<T>: tells of each core that is closed, or will be until unwatch(), which waits for
  /// what is being told.
  void watch(detail::core_watch& one) noexcept;
  void unwatch(detail::core_watch& one) noexcept;

  /// Runs f(args...), a function or a task, on the loop of a core and gives its value here. All
  /// that crosses is moved. There it has the deadline and the locals (log fields, too) that hold
  /// here, and not the shields. On one's own core it runs at once, in the calling task.
  template <class F, class... A>
  [[nodiscard]] task<detail::core_value_t<F, A...>> call(core_place to, F f, A... args);
  /// Calls f(args...) with copies on each core at once; waits for all. The first error cancels the
  /// others, and all arrive as one error_group.
  template <class F, class... A>
  [[nodiscard]] task<> call_all(F f, A... args);
  /// Calls f() on each core at once and combines what they give with `initial`, here, in the order
  /// of the cores: combine(combine(initial, of core 0), of core 1) ...
  template <class F, class T, class Combine>
  [[nodiscard]] task<T> map_reduce(F f, T initial, Combine combine);

  std::size_t size() const noexcept { return size_; }
  /// The same core for the same key, by its std::hash. Not for keys that hostile people choose.
  template <class Key>
  std::size_t core_of(const Key& key) const noexcept {
    return static_cast<std::size_t>(mix(std::hash<Key>{}(key)) % size_);
  }
  const char* name() const noexcept { return options_.name; }
  core_stats stats(std::size_t index) const noexcept;

 private:
  friend class detail::core_call;
  detail::core_state& state_of(std::size_t index) const noexcept;

  const std::size_t size_;
  const core_group_options options_;
  const std::unique_ptr<detail::core_state[]> cores_;
  const std::unique_ptr<detail::core_watches> watches_;
};

/// The group and the number of the core on which the running task is: in core_group::run, so inside
/// of run_on_all_cores, and in what is called there. Elsewhere they stop the process; is_on_core()
/// tells.
core_group& cores() noexcept;
std::size_t this_core() noexcept;
bool is_on_core() noexcept;

template <class F, class... A>
task<detail::core_value_t<F, A...>> core_group::call(core_place to, F f, A... args) {
  detail::typed_core_call<F, A...> one(state_of(to.index), to.place, std::move(f),
                                       std::move(args)...);
  if (one.is_at_home()) {
    co_await one.start();
  } else {
    co_await one;
  }
  co_return one.take_value();
}

template <class F, class... A>
task<> core_group::call_all(F f, A... args) {
  const std::source_location at = detail::awaited_at();
  co_await with_scope({.name = "call_all"}, [&](scope& s) -> task<> {
    for (std::size_t i = 0; i < size_; ++i)
      s.spawn_at(
          at, [&](std::size_t to) -> task<> { co_await call(core_place(to, at), f, args...); }, i);
    co_return;
  });
}

template <class F, class T, class Combine>
task<T> core_group::map_reduce(F f, T initial, Combine combine) {
  const std::source_location at = detail::awaited_at();
  std::vector<std::optional<detail::core_value_t<F>>> parts(size_);
  co_await with_scope({.name = "map_reduce"}, [&](scope& s) -> task<> {
    for (std::size_t i = 0; i < size_; ++i)
      s.spawn_at(
          at,
          [&](std::size_t to) -> task<> {
            parts[to].emplace(co_await call(core_place(to, at), f));
          },
          i);
    co_return;
  });
  for (auto& part : parts) initial = combine(std::move(initial), std::move(*part));
  co_return initial;
}

}  // namespace weir
