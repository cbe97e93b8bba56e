// The defects of store, broker, serve and http, which the simulated server has to notice.
#pragma once

#include <weir/drill/mutant.hpp>

#include <span>

namespace weir::drill {

/// By floors, from above.
std::span<const mutant> server_mutants() noexcept;

}  // namespace weir::drill
