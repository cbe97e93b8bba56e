// How the kit's tests get to GoogleTest, which has no word for two of one name or for a replay that
// reaches none.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <source_location>
#include <string>

namespace weir::testing::detail {

/// Adds a test. A second one of its suite and name ends the process: a filter, and the command that
/// repeats a failure, would mean both.
void register_test(const std::string& suite, const std::string& name, std::source_location place,
                   std::function<::testing::Test*()> make);

/// The run that WEIR_REPLAY names was made. When none was, the program fails at its end.
void note_replay() noexcept;

}  // namespace weir::testing::detail
