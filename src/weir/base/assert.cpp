#include <weir/base/assert.hpp>

#include <atomic>
#include <cstdio>
#include <cstdlib>

namespace weir::detail {

namespace {
std::atomic<assertion_hook> hook_now{nullptr};
}  // namespace

assertion_hook set_assertion_hook(assertion_hook hook) noexcept { return hook_now.exchange(hook); }

void assertion_failed(const char* expression, const char* file, int line,
                      const char* function) noexcept {
  std::fprintf(stderr, "weir: assertion failed: %s\n  at %s:%d in %s\n", expression, file, line,
               function);
  // Taken out first, so that an assertion inside the hook ends at once.
  if (assertion_hook hook = hook_now.exchange(nullptr)) hook();
  std::abort();
}

}  // namespace weir::detail
