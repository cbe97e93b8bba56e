// Whether a log still is one of the program that replays it.
#pragma once

#include <weir/sim/choice.hpp>

namespace weir {

/// What of a log the run that has replayed it did not come to, or could not do. Something: it is
/// the log of another program, and that the run has passed shows nothing.
choice_log not_reached(const choice_log& log, const choice_log& done);

}  // namespace weir
