// How the tests of the kit are called.
#pragma once

#include <string>
#include <string_view>

namespace weir::testing::detail {

/// A sentence in letters, digits and underscores, as filters and test runners want names.
std::string name_of(std::string_view sentence);
/// "scope_test" of "src/weir/core/scope_test.cpp".
std::string suite_of(std::string_view file);

}  // namespace weir::testing::detail
