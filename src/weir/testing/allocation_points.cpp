#include <weir/testing/allocation_points.hpp>

#include <weir/core/dump.hpp>
#include <weir/core/error_group.hpp>
#include <weir/testing/allocations.hpp>

#include <errno.h>
#include <fmt/format.h>

#include <csignal>
#include <exception>
#include <new>
#include <string>

namespace weir::testing {

namespace {

// An error that says that there was no memory.
bool is_want_of_memory(const error& what) noexcept {
  if (what.os_code() == ENOMEM) return true;
  return what.cause() && is_want_of_memory(*what.cause());
}

// Empty when it says that there was no memory. Of several errors one has to: the others are what
// came of it.
std::string other_than_want_of_memory(const std::exception_ptr& raised) {
  try {
    std::rethrow_exception(raised);
  } catch (const std::bad_alloc&) {
    return {};
  } catch (const error_group& group) {
    std::string text;
    for (std::size_t i = 0; i < group.size(); ++i) {
      const std::string other = other_than_want_of_memory(group[i]);
      if (other.empty()) return {};
      text += other;
    }
    return text;
  } catch (const exception& e) {
    return is_want_of_memory(e.reason()) ? "" : fmt::format("{}\n", e.what());
  } catch (const std::exception& e) {
    return fmt::format("{}\n", e.what());
  } catch (...) {
    return "unknown exception\n";
  }
}

struct strike {
  std::uint64_t nth = 0;
  bool has_struck = false;
  std::string raised;  // what it should not have
};

task<> with_failing(task<> (*scenario)(), strike* one) {
  std::exception_ptr raised;
  {
    const failing_allocation failing(one->nth, allocating::program);
    try {
      co_await scenario();
    } catch (...) {
      raised = std::current_exception();
    }
    one->has_struck = failing.has_struck();
  }
  if (raised) one->raised = other_than_want_of_memory(raised);
}

// A noexcept function that wanted memory ends the process: it must be known which.
std::uint64_t dying_nth = 0;
void write_death_note(int) {
  weir::detail::stderr_sink out;
  out.put("weir: the test died after its allocation ");
  out.put_number(dying_nth);
  out.put(" had failed, which was made here (names: addr2line -Cfe FILE +OFFSET):\n");
  out.flush();
  failing_allocation::print_place();
  std::signal(SIGABRT, SIG_DFL);
}

// Errors that scopes with failures = report have told of.
std::string other_reports(const virtual_outcome& outcome) {
  std::string text;
  for (const std::string& report : outcome.reports) {
    if (report.find("std::bad_alloc") == std::string::npos) text += report + "\n";
  }
  return text;
}

// False: the loop ends.
bool run_with_failing(task<> (*scenario)(), strike& one, std::source_location place) {
  const virtual_outcome outcome = run_outcome(with_failing(scenario, &one));
  std::string text = outcome.failure;
  if (!one.raised.empty()) text += "it raised " + one.raised;
  text += other_reports(outcome);
  if (text.empty() && !::testing::Test::HasFailure()) return one.has_struck;
  text += "\nthe allocation that failed was made here (names: addr2line -Cfe FILE +OFFSET):\n" +
          failing_allocation::place();
  GTEST_MESSAGE_AT_(place.file_name(), static_cast<int>(place.line()), text.c_str(),
                    ::testing::TestPartResult::kNonFatalFailure);
  return false;
}

}  // namespace

std::size_t for_each_allocation(task<> (*scenario)(), std::source_location place) {
  const auto line = static_cast<int>(place.line());
  if (!are_allocations_ours()) {
    GTEST_MESSAGE_AT_(place.file_name(), line, "not under ThreadSanitizer",
                      ::testing::TestPartResult::kSkip);
    return 0;
  }
  auto* const before = std::signal(SIGABRT, &write_death_note);
  strike one;
  bool has_struck = true;
  while (has_struck) {
    one = {.nth = one.nth + 1, .raised = {}};
    dying_nth = one.nth;
    const ::testing::ScopedTrace trace(place.file_name(), line,
                                       fmt::format("allocation {} fails", one.nth));
    if (one.nth > allocation_points_max) {
      ADD_FAILURE_AT(place.file_name(), line)
          << "the scenario allocates more than " << allocation_points_max << " times: no end?";
      break;
    }
    has_struck = run_with_failing(scenario, one, place);
  }
  std::signal(SIGABRT, before);
  return static_cast<std::size_t>(one.nth - 1);
}

}  // namespace weir::testing
