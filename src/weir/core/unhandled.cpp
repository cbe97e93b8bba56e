#include <weir/core/unhandled.hpp>

#include <atomic>
#include <cstdio>
#include <cstdlib>

namespace weir {

namespace {

void print_and_end(const unhandled_error& what) noexcept {
  std::fprintf(stderr, "weir: %s: %s\n", what.is_report ? "a task failed" : "unhandled error",
               what.text);
  if (!what.is_report) std::abort();
}

std::atomic<unhandled_handler> handler_now{nullptr};

}  // namespace

unhandled_handler set_unhandled_handler(unhandled_handler handler) noexcept {
  return handler_now.exchange(handler);
}

void detail::report_unhandled(const unhandled_error& what) noexcept {
  unhandled_handler handler = handler_now.load();
  (handler ? handler : print_and_end)(what);
}

}  // namespace weir
