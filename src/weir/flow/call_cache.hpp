// call_cache: results of calls, kept for a while, and made once however many ask ("single flight").
// The hard idea: whoever asks first makes the value and the others wait for it; but it belongs to
// nobody: if its maker is cancelled, the next of those who wait makes it, in its own scope.
//
// Invariants: (1) a flight is in flights_ while its maker runs, unless its key was erased since;
//             (2) the newest entry is the last in used_, and every entry is in it.
// Nothing of the caller's runs under the lock but the hash, the comparison, copies and moves. Who
// finds nothing allocates under it: the flight is made and listed by who has looked.
#pragma once

#include <weir/base/assert.hpp>
#include <weir/base/intrusive.hpp>
#include <weir/base/log.hpp>
#include <weir/core/loop.hpp>
#include <weir/core/task.hpp>
#include <weir/flow/call_failure.hpp>
#include <weir/flow/detail/reach.hpp>
#include <weir/flow/event.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <unordered_map>
#include <utility>

namespace weir {

struct cache_options {
  std::size_t entries_max = 1000;        // then the one that was not used for the longest time goes
  duration fresh_for = duration::max();  // 0: nothing is kept, calls are only made together
  duration stale_for = {};  // so much longer a value serves when no new one can be made
  const char* name = "call_cache";
};

struct cache_stats {
  std::size_t entries = 0;
  std::size_t in_flight = 0;  // values that are being made
  std::uint64_t hits = 0;
  std::uint64_t made = 0;    // calls that gave a value
  std::uint64_t failed = 0;  // calls that did not
  std::uint64_t shared = 0;  // waits for a value that somebody else made
  std::uint64_t evicted = 0;
  std::uint64_t served_stale = 0;
};

namespace detail {

template <class Key, class Value, class Hash, class Reach>
class basic_call_cache {
  static_assert(may_be_shared<Value, Reach>, "the count of bytes is not atomic: share std::string");
  static_assert(may_be_shared<Key, Reach>, "the count of bytes is not atomic: share std::string");

 public:
  using key_type = Key;
  using value_type = Value;

  /// Raises `invalid_argument` for negative times.
  explicit basic_call_cache(cache_options options = {}) : options_(options) {
    if (options.fresh_for < duration() || options.stale_for < duration()) {
      raise(error(errc::invalid_argument,
                  "call_cache: fresh_for and stale_for must not be negative"));
    }
  }
  basic_call_cache(const basic_call_cache&) = delete;
  basic_call_cache& operator=(const basic_call_cache&) = delete;
  ~basic_call_cache() { WEIR_ASSERT(flights_.empty() && "destroyed while a value is being made"); }

  /// A copy of the value, made by `co_await make()` or `co_await make(key)` if there is none that
  /// is fresh: `auto user = co_await users.get(id, load_user);`
  template <class F>
  task<Value> get(Key key, F make);

  /// The value if it is fresh; counts as a use.
  std::optional<Value> find(const Key& key);
  /// Keeps a value, also in place of one that is being made.
  void put(Key key, Value value);
  /// Forgets a value. One that is being made still goes to those who wait for it, but is not kept.
  bool erase(const Key& key);
  void clear();

  const char* name() const noexcept { return options_.name; }
  cache_stats stats() const noexcept;

 private:
  struct entry : list_hook<> {
    Value value;
    time_point made;
    const Key* key = nullptr;
    explicit entry(Value v) : value(std::move(v)) {}
  };
  struct flight {
    basic_event<Reach, false> ended{"a value that is being made"};
    std::optional<Value> value;  // it and the failure are written by the maker before the end
    std::exception_ptr failure;
    bool is_wanted = true;  // false: the key was erased since
    // Only compared, while it is listed.
    const task_header* maker = loop::current()->running();
  };
  using flight_ptr = std::shared_ptr<flight>;
  using entry_map = std::unordered_map<Key, entry, Hash>;
  using flight_map = std::unordered_map<Key, flight_ptr, Hash>;
  using guard = typename Reach::guard;
  /// What get() finds: a value, or else a flight, of its own or of somebody else.
  struct finding {
    std::optional<Value> value;
    flight_ptr made_by;
    bool is_mine = false;
  };
  class maker;

  finding look(const Key& key);
  // Under the lock; what leaves is handed out, to end after the unlock.
  typename flight_map::node_type outdate_flight(const Key& key);
  typename entry_map::node_type keep(Key&& key, Value& value, time_point now);
  entry* fresh(const Key& key, time_point now);
  std::optional<Value> stale(const Key& key, time_point now);
  void use(entry& one) noexcept;

  [[no_unique_address]] mutable typename Reach::lock lock_;
  cache_options options_;
  entry_map entries_;
  flight_map flights_;          // (1)
  intrusive_list<entry> used_;  // (2)
  cache_stats stats_;
};

}  // namespace detail

/// Values by key, made on demand.
///
/// Cancel:  a cancelled get() has made nothing; one of those who wait for the same value makes it.
/// Order:   of those who wait, who has waited longest makes it next.
/// Bound:   entries_max values; those that are being made are bounded by who asks for them.
/// Errors:  a failure is raised to all who wait for that call, and not kept. A call that asks for
///          the value that it makes stops the process, for that would wait for ever. Hashes and
///          comparisons of keys must not throw.
/// Threads: one loop; cross::call_cache is for several.
template <class Key, class Value, class Hash = std::hash<Key>>
class call_cache final : public detail::basic_call_cache<Key, Value, Hash, detail::one_loop> {
 public:
  using detail::basic_call_cache<Key, Value, Hash, detail::one_loop>::basic_call_cache;
};

namespace cross {

/// weir::call_cache for tasks of several loops, which share the values and the calls that make
/// them: a value is made on the loop of who asked first, and all others wait for it on their own.
/// A hit costs a short lock, under which the key is hashed and compared and the value copied, and a
/// look at the clock: keep both small, or make the value a shared_ptr. A miss allocates under it. A
/// value that was waited for
/// costs a post to each task of another loop.
///
/// Cancel:  a cancelled get() has made nothing; one of those who wait for the same value makes it.
/// Order:   of those who wait on a loop, who has waited longest asks first; among loops, whoever is
///          faster makes it.
/// Bound:   entries_max values; those that are being made are bounded by who asks for them.
/// Errors:  a failure is raised to all who wait for that call, and not kept: they share the
///          exception, so none may change it. A call that asks for the value that it makes stops
///          the process, for that would wait for ever. Hashes and comparisons of keys must not
///          throw.
/// Threads: any that runs a loop, on drivers whose clocks agree, as those of the kernel do;
///          erase(), clear() and stats() on any thread. It outlives every call of its own. Several
///          threads use and drop copies of a value at once: none that shares a count without
///          atomics (`bytes`), and no such key.
template <class Key, class Value, class Hash = std::hash<Key>>
class call_cache final : public detail::basic_call_cache<Key, Value, Hash, detail::many_loops> {
 public:
  using detail::basic_call_cache<Key, Value, Hash, detail::many_loops>::basic_call_cache;
};

}  // namespace cross

/// A place in a cache as one of layers(): the value of the key is looked up, and the layers inside
/// make it when it is not there: `layers(cached(quotes, "dates"), time_limit(1_s)).run(load)`.
///
/// Cancel:  as get().
/// Order:   as the cache.
/// Bound:   the cache's; refers to it.
/// Errors:  as get().
/// Threads: those of the cache.
template <class Cache>
class cached {
 public:
  cached(Cache& of, typename Cache::key_type key) : of_(&of), key_(std::move(key)) {}

  template <class F>
  WEIR_CORO_WRAPPER task<typename Cache::value_type> run(F call) {
    static_assert(std::is_same_v<std::remove_cvref_t<std::invoke_result_t<F&>>,
                                 task<typename Cache::value_type>>,
                  "the call must give a task of the cache's values");
    return of_->get(key_, std::move(call));
  }
  const char* name() const noexcept { return of_->name(); }
  cache_stats stats() const noexcept { return of_->stats(); }

 private:
  Cache* of_;
  typename Cache::key_type key_;
};

}  // namespace weir

#include <weir/flow/detail/call_cache_impl.hpp>
