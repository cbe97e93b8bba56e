// A program with some operators new and delete of its own that uses the simulator: it keeps those,
// and the library's others. Fails to build when the simulator brings any.
#include <weir/core.hpp>
#include <weir/sim/virtual_run.hpp>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>

namespace {

int own_calls = 0;

weir::task<> allocates() {
  const auto one = std::make_unique<std::string>(100, 'x');
  co_await weir::sleep(weir::duration::seconds(3600));
}

}  // namespace

void* operator new(std::size_t size) {
  ++own_calls;
  if (void* const memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }

int main() {
  const weir::virtual_outcome outcome = weir::run_outcome(allocates());
  if (!outcome.is_failed && own_calls != 0) return 0;
  std::printf("sim_consumer: %d calls, %s\n", own_calls, outcome.failure.c_str());
  return 1;
}
