// State that is divided among the cores: a T for each, made, used and destroyed on its own loop, so
// it needs no lock. The hard idea: the cores take the step together. Bodies begin when every shard
// is there and shards end when every body has ended, so that no call meets a core without one; and
// whoever drops out cuts the others off, so that nobody waits for who doesn't come.
#pragma once

#include <weir/core/core_group.hpp>
#include <weir/core/frame_pool.hpp>
#include <weir/core/local.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/flow/detail/shard_meeting.hpp>

#include <cstddef>
#include <exception>
#include <optional>
#include <source_location>
#include <tuple>
#include <type_traits>
#include <utility>

namespace weir {

template <class T>
class sharded;

namespace detail {
template <class T, class Make, class Body>
task<> run_with_shard(sharded<T>& all, Make make, Body body, std::source_location place);
template <class T>
void drop_out(sharded<T>& all) noexcept {
  all.meeting_.drop_out(this_core());
}

/// f(shard, args...) with the shard of the core on which it is called.
template <class T, class F>
struct shard_function {
  const sharded<T>* all;
  F function;
  template <class... A>
  WEIR_CORO_WRAPPER auto operator()(A&&... args)
      -> decltype(invoke_body(function, std::declval<T&>(), static_cast<A&&>(args)...)) {
    return invoke_body(function, all->local(), static_cast<A&&>(args)...);
  }
};

/// Made where it stands, since a T need not be moved.
template <class T>
struct shard_place {
  shard_place() : value() {}
  template <class Make>
  explicit shard_place(Make& make) : value(make()) {}
  T value;
};
}  // namespace detail

/// A T for each core of run_on_all_cores() or of a core_group, for one with_shard() on each.
///
/// Cancel:  as core_group::call(). A with_shard() that is cancelled cuts the other cores off, and
///          returns when no body is left that could use its shard.
/// Order:   bodies begin when every shard is made, and shards end when every body has ended; calls
///          as those of core_group.
/// Bound:   one T for each core, in the frame of its with_shard(); calls: calls_max of the cores.
/// Errors:  as core_group::call(). Outside of with_shard()'s bodies, and of what they call,
///          local() and calls stop the process.
/// Threads: any; made and destroyed by one, before and after all loops of the cores.
template <class T>
class sharded {
  static_assert(alignof(T) <= detail::frame_alignment,
                "a shard lives in a frame, aligned to at most 16 bytes; use a std::unique_ptr");

 public:
  sharded() noexcept : sharded("sharded") {}
  explicit sharded(const char* name) noexcept : meeting_(name) {}  // a literal
  sharded(const sharded&) = delete;
  sharded& operator=(const sharded&) = delete;
  ~sharded() = default;

  /// The shard of the core on which the running task is.
  T& local() const noexcept { return *static_cast<T*>(meeting_.shard_here()); }

  /// f(T&, args...), a function or a task, on a core's loop with that core's shard, as
  /// core_group::call() does it.
  template <class F, class... A>
  [[nodiscard]] WEIR_CORO_WRAPPER auto call(core_place to, F f, A... args) {
    return cores().call(to, function(std::move(f)), std::move(args)...);
  }
  /// The same with copies on each core at once.
  template <class F, class... A>
  [[nodiscard]] WEIR_CORO_WRAPPER task<> call_all(F f, A... args) {
    return cores().call_all(function(std::move(f)), std::move(args)...);
  }
  /// Combines what f(T&) gives on each core with `initial`, here, in the order of the cores.
  template <class F, class R, class Combine>
  [[nodiscard]] WEIR_CORO_WRAPPER task<R> map_reduce(F f, R initial, Combine combine) {
    return cores().map_reduce(function(std::move(f)), std::move(initial), std::move(combine));
  }
  /// The core that owns a key: the same one for the same key.
  template <class Key>
  std::size_t core_of(const Key& key) const noexcept {
    return cores().core_of(key);
  }

  const char* name() const noexcept { return meeting_.name(); }
  shard_stats stats() const noexcept { return meeting_.stats(); }

 private:
  template <class U, class Make, class Body>
  friend task<> detail::run_with_shard(sharded<U>&, Make, Body, std::source_location);
  template <class U>
  friend void detail::drop_out(sharded<U>&) noexcept;

  template <class F>
  detail::shard_function<T, F> function(F f) const noexcept {
    std::ignore = meeting_.shard_here();  // said at the call, not on the other core
    return {this, std::move(f)};
  }

  detail::shard_meeting meeting_;
};

/// Runs body(T&) with this core's shard, which is T() or what make() gives, a value or a task; once
/// on each core: `co_await with_shard(all, [](sessions& mine) -> task<> { ... });`
///
/// It is a step of all cores together. The body begins when every core has made its shard, and the
/// shard is destroyed, here, when every core's body has ended. A core that fails, is cancelled, or
/// whose program ends without having come cuts the others off: their bodies are cancelled, awaited,
/// and they raise `broken`, which tells what happened on that core. Errors of make arrive as
/// they are, those of the body and its children as one error_group. A core that comes again raises
/// `closed`.
template <class T, class Make, class Body>
  requires std::is_invocable_v<Make&>
[[nodiscard]] WEIR_CORO_WRAPPER task<> with_shard(
    sharded<T>& all, Make make, Body body,
    std::source_location place = std::source_location::current());
template <class T, class Body>
[[nodiscard]] WEIR_CORO_WRAPPER task<> with_shard(
    sharded<T>& all, Body body, std::source_location place = std::source_location::current()) {
  return with_shard(all, [] {}, std::move(body), place);
}

template <class T, class Make, class Body>
  requires std::is_invocable_v<Make&>
[[nodiscard]] WEIR_CORO_WRAPPER task<> with_shard(sharded<T>& all, Make make, Body body,
                                                  std::source_location place) {
  try {
    return detail::run_with_shard(all, std::move(make), std::move(body), place);
  } catch (...) {  // no memory for its frame
    detail::drop_out(all);
    throw;
  }
}

namespace detail {

template <class T, class Make>
task<> make_shard(std::optional<shard_place<T>>& into, Make& make) {
  using made = std::invoke_result_t<Make&>;
  if constexpr (std::is_void_v<made>) {
    into.emplace();
  } else if constexpr (is_task<made>) {
    T value = co_await make();
    const auto give = [&]() -> T&& { return std::move(value); };
    into.emplace(give);
  } else {
    into.emplace(make);
  }
  co_return;
}

// In the scope that the keeper holds; what the body spawns ends in one of its own.
template <class T, class Make, class Body>
task<> run_part(scope& kept, shard_stay& here, sharded<T>& all, shard_meeting& key,
                std::optional<shard_place<T>>& mine, Make& make, Body& body) {
  struct part {
    shard_stay& of;
    ~part() { of.end_part(); }
  } const until_the_end{here};
  try {
    co_await here.be_kept(kept);
    co_await make_shard(mine, make);
    co_await here.begin(&mine->value);
    const local_binding inside{.key = &key, .value = &key};
    co_await with_scope({.name = all.name(), .local = &inside},
                        [&](scope&) -> task<> { co_await body(mine->value); });
  } catch (...) {
    here.fail(std::current_exception());
    throw;
  }
  co_await here.end();
}

template <class T, class Make, class Body>
task<> run_with_shard(sharded<T>& all, Make make, Body body, std::source_location place) {
  shard_stay here(all.meeting_, place);
  std::optional<shard_place<T>> mine;
  if (here.enter()) {
    try {
      co_await with_scope({.name = "shard"}, [&](scope& kept) -> task<> {
        co_await run_part(kept, here, all, all.meeting_, mine, make, body);
      });
    } catch (const std::exception& group) {
      rethrow_single(group);  // what it raised, as it is
    }
  }
  mine.reset();
  co_await here.hear();
}

}  // namespace detail
}  // namespace weir
