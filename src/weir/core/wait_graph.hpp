// Who waits for whom: the graph of a loop's tasks and what could wake them, as text. The hard idea:
// an edge is only drawn where one task alone can end the wait (a lock's holder, the tasks of a
// scope that is waited for), so a cycle in it is a deadlock and no guess.
#pragma once

#include <weir/core/frame.hpp>

namespace weir {

class loop;

namespace detail {

inline constexpr std::size_t graph_tasks_max = 64;  // more are counted, not printed

/// Prints a line for each waiting task, and the first cycle. On the loop's own thread; allocates.
void print_wait_graph(loop& on, text_sink& out);

}  // namespace detail
}  // namespace weir
