// Known bugs of concurrent programs, as small programs of weir: what the explorer is measured by.
// Each is written anew from its public description. The hard idea: a kernel that can't fail is a
// result too. Where weir's rules (a scope waits for its tasks, halves of channels are counted,
// guards unlock) take the bug away, the kernel says which rule it is, and no schedule may fail.
#pragma once
// Sources are compiled several at once: each has its kernels in a namespace of its own, in_FILE.

#include <weir/core/as_result.hpp>
#include <weir/core/select.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/flow/channel.hpp>
#include <weir/flow/event.hpp>
#include <weir/flow/latch.hpp>
#include <weir/flow/mutex.hpp>
#include <weir/flow/shared_mutex.hpp>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>

namespace weir::corpora {

/// What must come of a kernel.
enum class expected : std::uint8_t {
  found,       // some schedule fails
  rare,        // a few in a million at random do
  impossible,  // none does
  assertion,   // the process ends, with a message that says what is wrong
};

struct kernel {
  const char* name;
  const char* kind;
  task<> (*body)();
  expected verdict = expected::found;
  const char* reason = "";  // why it is impossible
  const char* says = "";    // the message of the assertion
  // Of a rare one, which takes too many runs to find out the least number of exceptions: how many
  // switches are known to be needed, and to how many exceptions it is shrunk today.
  std::size_t switches_least = 0;
  std::size_t shrunk_most = 0;
};

/// One of several tasks that run together: a lambda that lives as long as the await around it.
class part {
 public:
  template <class F>
  part(const F& f) noexcept  // NOLINT(google-explicit-constructor)
      : object_(&f), call_(&call<F>) {}
  WEIR_CORO_WRAPPER task<> operator()() const { return call_(object_); }

 private:
  template <class F>
  WEIR_CORO_WRAPPER static task<> call(const void* object) {
    return (*static_cast<const F*>(object))();
  }
  const void* object_;
  task<> (*call_)(const void*);
};

/// Runs them as tasks of one scope, to the end of all.
task<> together(std::initializer_list<part> parts);
/// Fails the run: the kernel has met what must not be.
[[noreturn]] void wrong(const char* what);

std::span<const kernel> goker_resource();
std::span<const kernel> goker_communication();
std::span<const kernel> goker_mixed();
std::span<const kernel> goker_races();
std::span<const kernel> goker_misuse();
std::span<const kernel> reasons();
std::span<const kernel> event_loop_shapes();
std::span<const kernel> demos();
std::span<const kernel> sctbench_locks();
std::span<const kernel> sctbench_lock_free();

}  // namespace weir::corpora
