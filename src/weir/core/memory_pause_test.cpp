#include <weir/core/memory_pause.hpp>

#include <weir/base/error.hpp>
#include <weir/core.hpp>
#include <weir/testing/test.hpp>

#include <gtest/gtest.h>

#include <cerrno>
#include <new>
#include <stdexcept>

namespace weir::memory_pause_test {
namespace {

using namespace weir::literals;

std::exception_ptr no_memory() { return std::make_exception_ptr(std::bad_alloc()); }

std::exception_ptr raised_by_os(int number) {
  const error inner = error::from_os(number, "asking");
  return std::make_exception_ptr(exception(error(errc::io, "trying").caused_by(inner)));
}

void find_none(memory_pause& memory, const std::exception_ptr& raised = no_memory()) {
  try {
    std::rethrow_exception(raised);
  } catch (...) {
    memory.found_none();
  }
}

TEST(memory_pause, want_of_memory_is_known_in_each_of_its_shapes) {
  EXPECT_TRUE(is_want_of_memory(no_memory()));
  EXPECT_TRUE(is_want_of_memory(raised_by_os(ENOMEM)));
  EXPECT_FALSE(is_want_of_memory(raised_by_os(EIO)));
  const std::exception_ptr other = std::make_exception_ptr(std::runtime_error("other"));
  EXPECT_FALSE(is_want_of_memory(other));
  const std::exception_ptr both[] = {other, no_memory()};
  EXPECT_TRUE(is_want_of_memory(std::make_exception_ptr(error_group::of(both, 2, "x"))));
  EXPECT_FALSE(is_want_of_memory(std::make_exception_ptr(error_group::of(both, 1, "x"))));
}

WEIR_TEST("pauses for want of memory grow to a bound and begin anew after a calm time") {
  memory_pause memory("work");
  duration wanted = memory_pause::pause_first;
  for (int i = 0; i < 10; ++i) {
    find_none(memory);
    EXPECT_EQ(memory.until() - loop::current()->now(), wanted) << i;
    co_await sleep_until(memory.until());
    wanted = std::min(2 * wanted, memory_pause::pause_max);
  }
  EXPECT_EQ(wanted, memory_pause::pause_max);
  co_await sleep(memory_pause::calm);
  find_none(memory);
  EXPECT_EQ(memory.until() - loop::current()->now(), memory_pause::pause_first);
}

WEIR_TEST("tasks that find no memory during a pause share it") {
  memory_pause memory("work");
  find_none(memory);
  const time_point until = memory.until();
  co_await sleep(memory_pause::pause_first / 2);
  find_none(memory);
  EXPECT_EQ(memory.until(), until);
}

WEIR_TEST("what is no want of memory goes on its way") {
  memory_pause memory("work");
  EXPECT_THROW(find_none(memory, std::make_exception_ptr(std::runtime_error("other"))),
               std::runtime_error);
  EXPECT_LE(memory.until(), loop::current()->now());
  co_return;
}

}  // namespace
}  // namespace weir::memory_pause_test
