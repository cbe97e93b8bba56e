// What lock-free code is made of, for code that is tested by model::check(): atomics, fences and
// plain memory. The hard idea: code under test takes these through a parameter whose default is
// std's (base/std_memory.hpp), so that the source that ships is the source that is checked.
#pragma once

#include <weir/testing/model_checker.hpp>

#include <atomic>
#include <concepts>
#include <cstdint>
#include <source_location>
#include <type_traits>

namespace weir::model {

/// What fits into one atomic here: a number, an enumerator or an address.
template <class T>
concept word = std::integral<T> || std::is_enum_v<T> || std::is_pointer_v<T>;

namespace detail {
template <word T>
std::uint64_t to_bits(T value) noexcept {
  if constexpr (std::is_pointer_v<T>) {
    return reinterpret_cast<std::uintptr_t>(value);
  } else {
    return static_cast<std::uint64_t>(value);
  }
}
template <word T>
T from_bits(std::uint64_t bits) noexcept {
  if constexpr (std::is_pointer_v<T>) {
    return reinterpret_cast<T>(static_cast<std::uintptr_t>(bits));
  } else {
    return static_cast<T>(bits);
  }
}
}  // namespace detail

/// std::atomic, as far as weir uses it. Each operation is a step of its thread.
///
/// Cancel:  no waits.
/// Order:   C++'s memory model, but for the limits that memory_model.hpp states.
/// Bound:   values of one word; locations_max of them, stores_max stores.
/// Errors:  none.
/// Threads: those of the body that made it.
template <word T>
class atomic {
  using place = std::source_location;
  static constexpr std::memory_order strongest = std::memory_order_seq_cst;

 public:
  using value_type = T;

  atomic() : atomic(T{}) {}
  atomic(T initial) : id_(detail::make_location(detail::to_bits(initial))) {}  // NOLINT: as std's
  atomic(const atomic&) = delete;
  atomic& operator=(const atomic&) = delete;

  T load(std::memory_order order = strongest, place where = place::current()) const noexcept {
    return detail::from_bits<T>(detail::load(id_, order, where));
  }
  void store(T value, std::memory_order order = strongest,
             place where = place::current()) noexcept {
    detail::store(id_, detail::to_bits(value), order, where);
  }
  T exchange(T value, std::memory_order order = strongest,
             place where = place::current()) noexcept {
    return update(
        operation::exchange, [](std::uint64_t, std::uint64_t given) { return given; }, value, order,
        where);
  }
  T fetch_add(T value, std::memory_order order = strongest, place where = place::current()) noexcept
    requires std::integral<T>
  {
    return update(operation::add, &add, value, order, where);
  }
  T fetch_sub(T value, std::memory_order order = strongest, place where = place::current()) noexcept
    requires std::integral<T>
  {
    return update(operation::add, &add, static_cast<T>(0 - value), order, where);
  }
  T fetch_or(T value, std::memory_order order = strongest, place where = place::current()) noexcept
    requires std::integral<T>
  {
    return update(
        operation::combine, [](std::uint64_t a, std::uint64_t b) { return a | b; }, value, order,
        where);
  }
  T fetch_and(T value, std::memory_order order = strongest, place where = place::current()) noexcept
    requires std::integral<T>
  {
    return update(
        operation::combine, [](std::uint64_t a, std::uint64_t b) { return a & b; }, value, order,
        where);
  }
  bool compare_exchange_strong(T& expected, T desired, std::memory_order success,
                               std::memory_order failure, place where = place::current()) noexcept {
    return compare_exchange(expected, desired, success, failure, false, where);
  }
  /// May fail though the values are equal, spurious_failures_max times in a run.
  bool compare_exchange_weak(T& expected, T desired, std::memory_order success,
                             std::memory_order failure, place where = place::current()) noexcept {
    return compare_exchange(expected, desired, success, failure, true, where);
  }
  bool compare_exchange_weak(T& expected, T desired, std::memory_order order,
                             place where = place::current()) noexcept {
    const bool releases = order == std::memory_order_release || order == std::memory_order_acq_rel;
    const std::memory_order failure = !releases ? order
                                      : order == std::memory_order_release
                                          ? std::memory_order_relaxed
                                          : std::memory_order_acquire;
    return compare_exchange(expected, desired, order, failure, true, where);
  }

 private:
  // As unsigned numbers, which wrap.
  static std::uint64_t add(std::uint64_t now, std::uint64_t operand) {
    return detail::to_bits(detail::from_bits<T>(now + operand));
  }
  T update(operation what, memory_model::change how, T operand, std::memory_order order,
           place where) noexcept {
    return detail::from_bits<T>(detail::update(
        id_, {.what = what, .how = how, .operand = detail::to_bits(operand)}, order, where));
  }
  bool compare_exchange(T& expected, T desired, std::memory_order success,
                        std::memory_order failure, bool is_weak, place where) noexcept {
    std::uint64_t bits = detail::to_bits(expected);
    const bool is_done = detail::compare_exchange(id_, bits,
                                                  {.desired = detail::to_bits(desired),
                                                   .success = success,
                                                   .failure = failure,
                                                   .is_weak = is_weak},
                                                  where);
    expected = detail::from_bits<T>(bits);
    return is_done;
  }

  location_id id_;
};

inline void atomic_thread_fence(std::memory_order order,
                                std::source_location where = std::source_location::current()) {
  detail::fence(order, where);
}

/// Plain memory: a value whose reads and writes must be ordered by happens-before.
///
/// Cancel:  no waits.
/// Order:   none of its own.
/// Bound:   none.
/// Errors:  access that is not ordered fails the run as a data race, its end included.
/// Threads: those of the body that made it.
template <class T>
class cell {
 public:
  /// A value and where it was given.
  struct given {
    given(T v, std::source_location w = std::source_location::current()) : value(v), where(w) {}
    T value;
    std::source_location where;
  };

  cell() : cell(T{}) {}
  explicit cell(T initial, std::source_location where = std::source_location::current())
      : value_(initial) {
    detail::write_cell(history_, where);
  }
  cell(const cell&) = delete;
  cell& operator=(const cell&) = delete;
  ~cell() { detail::write_cell(history_, std::source_location::current()); }

  cell& operator=(given one) {
    detail::write_cell(history_, one.where);
    value_ = one.value;
    return *this;
  }
  T get(std::source_location where = std::source_location::current()) const {
    detail::read_cell(history_, where);
    return value_;
  }
  operator T() const { return get({}); }  // NOLINT: as a plain value, which has no place to tell

 private:
  T value_;
  mutable cell_history history_;
};

/// The parameter of code under test: see std_memory.
struct memory {
  template <class T>
  using atomic = model::atomic<T>;
  static void fence(std::memory_order order,
                    std::source_location where = std::source_location::current()) {
    atomic_thread_fence(order, where);
  }
};
}  // namespace weir::model
