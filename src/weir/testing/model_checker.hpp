// Every interleaving of a few small threads, and everything that C++'s memory model lets them read.
// The hard idea: threads are stacks of one real thread (internal/fibre.hpp) which stop before each
// operation on an atomic, so that who goes next is a decision like what a load reads
// (memory_model.hpp); an odometer turns through all decisions. A switch away from a thread that
// could go on is a preemption, and their number is bounded, since most known bugs need few
// (Musuvathi and Qadeer, "Iterative context bounding", 2007). Plain memory is no place to stop:
// access that is not ordered by happens-before is a failure whenever it comes.
//
//   check(options, body)    runs the body again and again, until it fails or nothing is left to try
//     parallel(a, b ...)    in the body: runs its threads
//     require(condition)    in the body or in a thread: fails the run
//
// A body is run from its begin again and again, so it makes all that it touches. What its threads
// leave on their stacks when a run fails is not destroyed.
#pragma once

#include <weir/testing/detail/model_operations.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <source_location>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace weir::model {

inline constexpr std::uint32_t unbounded = UINT32_MAX;

/// Another order for an operation of the code under test: what a test must not pass with.
struct weakening {
  std::string_view function;  // in which the operation stands, by its bare name
  operation what = operation::load;
  std::memory_order from = std::memory_order_seq_cst;
  std::memory_order to = std::memory_order_relaxed;
  std::uint32_t line = 0;  // 0: any
};

/// An operation with its order, where it stands.
struct ordered_operation {
  operation what = operation::load;
  std::memory_order order = std::memory_order_relaxed;
  std::source_location where = {};
};

struct check_options {
  std::uint32_t preemptions_max = 3;  // of one run; `unbounded` for none
  std::uint64_t runs_max = 3'000'000;
  std::uint32_t steps_max = 1'000;          // of one run: longer ones fail
  std::uint32_t spurious_failures_max = 1;  // of compare_exchange_weak, in one run
  bool notes_orders = false;                // in the verdict
  std::vector<weakening> weakened = {};     // a check fails when one of them meets no operation
};

/// What a check has found.
struct verdict {  // tidy-allow(one-meaning): of a model, which knows no broker
  std::uint64_t runs = 0;
  bool is_complete = false;                    // nothing is left to try
  std::string failure = {};                    // empty: none
  std::string steps = {};                      // of the run that failed, one a line
  std::vector<ordered_operation> orders = {};  // all that are not relaxed, each once

  bool has_passed() const noexcept { return is_complete && failure.empty(); }
  /// All of it, for people.
  std::string text() const;
};

namespace detail {

struct thread_body {
  void (*run)(void*) = nullptr;
  void* argument = nullptr;
};
template <class F>
thread_body body_of(F& function) noexcept {
  return {.run = [](void* f) { (*static_cast<F*>(f))(); },
          .argument = const_cast<void*>(static_cast<const void*>(std::addressof(function)))};
}
verdict check(const check_options& options, thread_body body);
void parallel(const thread_body* threads, std::uint32_t count);

}  // namespace detail

/// Runs `body` in every way until one fails. In it, parallel() runs the threads.
template <class Body>
verdict check(const check_options& options, Body body) {
  return detail::check(options, detail::body_of(body));
}

/// Runs 1 to threads_max threads to their ends. Before it happens what the body did, after it what
/// the threads did.
template <class... Threads>
void parallel(Threads&&... threads) {
  static_assert(sizeof...(Threads) <= threads_max);
  const detail::thread_body bodies[] = {detail::body_of(threads)...};
  detail::parallel(bodies, sizeof...(Threads));
}

/// Fails the run unless `condition` holds.
void require(bool condition, const char* text = "a condition that the test requires",
             std::source_location place = std::source_location::current());

/// The thread has looked in vain: it goes on when one of the atomics that it has read since it last
/// yielded has another value than it knows to be there. From then on it reads at these nothing
/// older than what is there now, as a processor's caches see to it in the end. A thread that has
/// read none goes on at any time. So a loop may count its tries in an atomic of its own; two that
/// count in the same one wake each other, and come to `steps_max`.
void yield(std::source_location place = std::source_location::current());

}  // namespace weir::model
