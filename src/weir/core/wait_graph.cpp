#include <weir/core/wait_graph.hpp>

#include <weir/core/dump.hpp>
#include <weir/core/loop.hpp>

#include <algorithm>
#include <cstring>
#include <vector>

namespace weir::detail {

namespace {

struct graph_node {
  const task_header* task;
  std::uint64_t parent;
  std::vector<std::size_t> wakers;  // indices of the tasks that it waits for
};

std::vector<graph_node> nodes_of(loop& on) {
  std::vector<graph_node> nodes;
  visit_tasks(
      on,
      [](void* context, const met_task& met) {
        static_cast<std::vector<graph_node>*>(context)->push_back(
            {.task = &met.task, .parent = met.parent, .wakers = {}});
      },
      &nodes);
  return nodes;
}

bool waits_for_children(const wait& w) noexcept {
  return std::strcmp(w.kind->name, "end of a scope") == 0 ||
         std::strcmp(w.kind->name, "end of a scope's tasks") == 0;
}

void link(std::vector<graph_node>& nodes) {
  for (graph_node& one : nodes) {
    const wait* w = one.task->waits_for();
    if (!w) continue;
    const task_header* holder = w->kind->held_by ? w->kind->held_by(*w) : nullptr;
    const bool for_children = waits_for_children(*w);
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      if (nodes[i].task == holder || (for_children && nodes[i].parent == one.task->id)) {
        one.wakers.push_back(i);
      }
    }
  }
}

void put_task(text_sink& out, const task_header& task) {
  out.put("task ");
  out.put_number(task.id);
}

void put_wait(text_sink& out, const wait& w) {
  out.put(w.kind->name);
  if (!w.kind->describe) return;
  out.put(" ");
  w.kind->describe(w, out);
}

void print_node(text_sink& out, const graph_node& one, const std::vector<graph_node>& nodes) {
  out.put("  ");
  put_task(out, *one.task);
  constexpr std::size_t lines_max = 16;
  stack_line lines[lines_max];
  const std::size_t count = read_stack(*one.task, lines, lines_max);
  for (std::size_t i = count; i != 0; --i) {
    if (lines[i - 1].label) continue;
    out.put(" (");
    out.put(lines[i - 1].function);
    out.put(")");
    break;
  }
  out.put(" waits for ");
  put_wait(out, *one.task->waits_for());
  for (std::size_t i = 0; i < count; ++i) {
    if (lines[i].label) continue;
    out.put(" at ");
    out.put_place(lines[i].here);
    break;
  }
  const char* between = one.task->waits_for()->kind->held_by ? ", held by " : ", that is ";
  for (const std::size_t waker : one.wakers) {
    out.put(between);
    put_task(out, *nodes[waker].task);
    between = " and ";
  }
  if (one.wakers.empty()) out.put(", which no task in particular can end");
  out.put("\n");
}

// A walk along the edges; `path` is what leads to the present node.
bool find_cycle(const std::vector<graph_node>& nodes, std::size_t at, std::vector<char>& seen,
                std::vector<std::size_t>& path) {
  if (const auto found = std::find(path.begin(), path.end(), at); found != path.end()) {
    path.erase(path.begin(), found);
    return true;
  }
  if (seen[at] != 0) return false;
  seen[at] = 1;
  path.push_back(at);
  for (const std::size_t next : nodes[at].wakers) {
    if (find_cycle(nodes, next, seen, path)) return true;
  }
  path.pop_back();
  return false;
}

void print_cycle(text_sink& out, const std::vector<graph_node>& nodes) {
  std::vector<char> seen(nodes.size(), 0);
  for (std::size_t from = 0; from < nodes.size(); ++from) {
    std::vector<std::size_t> path;
    if (!find_cycle(nodes, from, seen, path)) continue;
    out.put("  in a circle: ");
    for (const std::size_t at : path) {
      put_task(out, *nodes[at].task);
      out.put(" -> ");
      put_wait(out, *nodes[at].task->waits_for());
      out.put(" -> ");
    }
    put_task(out, *nodes[path.front()].task);
    out.put("\n");
    return;
  }
}

}  // namespace

void print_wait_graph(loop& on, text_sink& out) {
  std::vector<graph_node> nodes = nodes_of(on);
  link(nodes);
  std::size_t printed = 0;
  std::size_t waiting = 0;
  for (const graph_node& one : nodes) {
    if (!one.task->waits_for()) continue;
    ++waiting;
    if (printed == graph_tasks_max) continue;
    ++printed;
    print_node(out, one, nodes);
  }
  if (waiting > printed) {
    out.put("  ... and ");
    out.put_number(waiting - printed);
    out.put(" more tasks\n");
  }
  print_cycle(out, nodes);
}

}  // namespace weir::detail
