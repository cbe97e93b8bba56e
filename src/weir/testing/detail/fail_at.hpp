// How checks of the kit fail a test: at the line that the user wrote.
#pragma once

#include <source_location>
#include <string>

namespace weir {
struct virtual_outcome;
}

namespace weir::testing::detail {

/// Fails the test that runs, as an expectation at the place would; it goes on.
void fail_at(std::source_location place, const std::string& text);
/// The same with all that a run failed in.
void check_outcome(const virtual_outcome& outcome, std::source_location place);

}  // namespace weir::testing::detail
