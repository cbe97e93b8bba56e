// call_cache: results of calls, kept for a while, and made once however many ask ("single flight").
// The hard idea: whoever asks first makes the value and the others wait for it; but it belongs to
// nobody: if its maker is cancelled, the next of those who wait makes it, in its own scope.
//
// Invariants: (1) a flight is in flights_ while its maker runs, unless its key was erased since;
//             (2) the newest entry is the last in used_, and every entry is in it.
#pragma once

#include <weir/base/assert.hpp>
#include <weir/base/intrusive.hpp>
#include <weir/base/log.hpp>
#include <weir/core/loop.hpp>
#include <weir/core/task.hpp>
#include <weir/flow/call_failure.hpp>
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

/// Values by key, made on demand.
///
/// Cancel:  a cancelled get() has made nothing; one of those who wait for the same value makes it.
/// Order:   of those who wait, who has waited longest makes it next.
/// Bound:   entries_max values; those that are being made are bounded by who asks for them.
/// Errors:  a failure is raised to all who wait for that call, and not kept.
/// Threads: one loop.
template <class Key, class Value, class Hash = std::hash<Key>>
class call_cache {
 public:
  explicit call_cache(cache_options options = {}) : options_(options) {}
  call_cache(const call_cache&) = delete;
  call_cache& operator=(const call_cache&) = delete;
  ~call_cache() { WEIR_ASSERT(flights_.empty() && "destroyed while a value is being made"); }

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
    condition ended{"a value that is being made"};
    std::optional<Value> value;
    std::exception_ptr failure;
    bool is_wanted = true;  // false: the key was erased since
  };
  using flight_ptr = std::shared_ptr<flight>;
  class maker;

  void outdate_flight(const Key& key);
  void keep(Key key, Value value);
  entry* fresh(const Key& key);
  const Value* stale(const Key& key);
  void use(entry& one) noexcept;
  void drop_oldest();

  cache_options options_;
  std::unordered_map<Key, entry, Hash> entries_;
  std::unordered_map<Key, flight_ptr, Hash> flights_;  // (1)
  intrusive_list<entry> used_;                         // (2)
  cache_stats stats_;
};

}  // namespace weir

#include <weir/flow/detail/call_cache_impl.hpp>
