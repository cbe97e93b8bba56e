#include <weir/core/dump.hpp>

#include <weir/base/standard_error.hpp>
#include <weir/core/loop.hpp>
#include <weir/core/scope.hpp>

#include <cstring>

namespace weir {

namespace detail {

void text_sink::put_number(std::uint64_t number) noexcept {
  char digits[20];
  std::size_t at = sizeof digits;
  do {
    digits[--at] = static_cast<char>('0' + number % 10);
    number /= 10;
  } while (number != 0);
  put(digits + at, sizeof digits - at);
}

void text_sink::put_duration(duration length) noexcept {
  const std::uint64_t ns = length.ns < 0 ? 0 : static_cast<std::uint64_t>(length.ns);
  if (ns < 1'000'000) {
    put_number(ns / 1'000);
    put(" us");
  } else if (ns < 1'000'000'000) {
    put_number(ns / 1'000'000);
    put(" ms");
  } else {
    put_number(ns / 1'000'000'000);
    put(".");
    put_number(ns / 100'000'000 % 10);
    put(" s");
  }
}

void text_sink::put_place(const std::source_location& place) noexcept {
  put(place.file_name());
  put(":");
  put_number(place.line());
}

void stderr_sink::put(const char* text, std::size_t size) noexcept {
  if (size > sizeof held_ - size_) flush();
  if (size > sizeof held_) return write_standard_error(text, size);
  std::memcpy(held_ + size_, text, size);
  size_ += size;
}

void stderr_sink::flush() noexcept {
  write_standard_error(held_, size_);
  size_ = 0;
}

namespace {

const char* state_name(const task_header& task) noexcept {
  if (task.is_unwinding) return "cancelling";
  switch (task.state) {
    case task_state::ready:
      return "ready";
    case task_state::running:
      return "running";
    case task_state::waiting:
      return "waiting";
    case task_state::done:
      return "done";
  }
  return "?";
}

}  // namespace

// Walks scopes and tasks. Lists may be edited by the interrupted thread while a signal handler
// walks them, so every loop here has a bound.
struct tree_walker {
  loop& on;
  text_sink& out;
  time_point now;
  std::size_t printed = 0;

  static void visit(const scope& s, void (*meet)(void*, const met_task&), void* context) {
    for (const task_header* t = s.first_task_; t; t = t->next_in_scope) {
      meet(context, {.task = *t, .parent = s.host_ ? s.host_->id : 0});
    }
    for (const scope* inner = s.first_child_; inner; inner = inner->next_sibling_) {
      visit(*inner, meet, context);
    }
  }

  void indent(int depth) noexcept {
    for (int i = 0; i < depth; ++i) out.put("  ");
  }

  // The stack from a frame or boundary up to the task, innermost first.
  static std::size_t read_frames(std::uintptr_t at, const task_header& task, stack_line* lines,
                                 std::size_t count) noexcept {
    std::size_t read = 0;
    for (; (at & ~frame_base::bits) != 0 && read < count; ++read) {
      if ((at & frame_base::boundary_bit) != 0) {
        const auto* met = reinterpret_cast<const boundary*>(at & ~frame_base::bits);
        if (met == &task) break;
        lines[read] = {.label = met->label()};
        at = reinterpret_cast<std::uintptr_t>(static_cast<const inner_boundary*>(met)->above);
      } else {
        const auto* frame = reinterpret_cast<const frame_base*>(at & ~frame_base::bits);
        lines[read] = {.function = frame->here.function_name(), .here = frame->here};
        at = frame->parent;
      }
    }
    return read;
  }

  void print_frames(const task_header& task, int depth) noexcept {
    constexpr std::size_t frames_max = 64;
    const bool is_running = task.state == task_state::running && on.running_leaf_;
    stack_line lines[frames_max + 1];
    const std::size_t count =
        read_frames(is_running ? *on.running_leaf_ : task.leaf, task, lines, frames_max + 1);
    for (std::size_t i = 0; i < count; ++i) {
      indent(depth);
      if (i == frames_max) return out.put("... and the frames above\n");
      if (lines[i].label) {
        out.put("in \"");
        out.put(lines[i].label);
        out.put("\"\n");
        continue;
      }
      out.put("in ");
      out.put(lines[i].function);
      // A running frame has gone on from the place where it last waited.
      out.put(is_running && i == 0 ? ", last wait at " : " at ");
      out.put_place(lines[i].here);
      out.put("\n");
    }
  }

  void print_task(const task_header& task, int depth) noexcept {
    if (printed == dump_tasks_max) return;
    ++printed;
    indent(depth);
    out.put("task ");
    out.put_number(task.id);
    out.put(" ");
    out.put(state_name(task));
    if (const wait* w = task.waits_for()) {
      out.put(" for ");
      out.put(w->kind->name);
      if (w->kind->describe) {
        out.put(" ");
        w->kind->describe(*w, out);
      }
      out.put(" since ");
      out.put_duration(now - task.since);
    }
    if (task.here.line() != 0) {
      out.put(", spawned at ");
      out.put_place(task.here);
    }
    out.put("\n");
    print_frames(task, depth + 1);
    print_inner_scopes(scope::home_of(task), task, depth + 1);
  }

  // The scopes that `task` has open directly below `outer`.
  void print_inner_scopes(const scope& outer, const task_header& task, int depth) noexcept {
    std::size_t bound = dump_tasks_max;
    for (const scope* s = outer.first_child_; s && bound-- != 0; s = s->next_sibling_) {
      if (s->host_ == &task) print_scope(*s, depth);
    }
  }

  void print_scope(const scope& s, int depth) noexcept {
    indent(depth);
    if (depth > dump_depth_max) return out.put("... deeper scopes are not shown\n");
    out.put("scope \"");
    out.put(s.name());
    out.put("\" with ");
    out.put_number(s.stats_.live);
    out.put(s.stats_.live == 1 ? " task" : " tasks");
    if (s.deadline() != time_point::never()) {
      out.put(", deadline in ");
      out.put_duration(s.deadline() - now);
    }
    if (s.options_.shield) out.put(", shielded");
    if (s.is_cancelled()) {
      const cancel_reason why = s.reason();
      out.put(", cancelled by ");
      out.put(name(why.kind));
      if (why.text && *why.text) {
        out.put(": ");
        out.put(why.text);
      }
    }
    out.put("\n");
    std::size_t bound = dump_tasks_max;
    for (const task_header* t = s.first_task_; t && bound-- != 0; t = t->next_in_scope) {
      print_task(*t, depth + 1);
    }
    if (s.host_) print_inner_scopes(s, *s.host_, depth + 1);
  }
};

std::size_t read_stack(const task_header& task, stack_line* lines, std::size_t count) noexcept {
  return tree_walker::read_frames(task.leaf, task, lines, count);
}

void visit_tasks(loop& on, void (*visit)(void*, const met_task&), void* context) {
  tree_walker::visit(on.root(), visit, context);
}

void print_running_task(loop& on, text_sink& out) noexcept {
  if (!running_task) return;
  out.put("task ");
  out.put_number(running_task->id);
  if (running_task->here.line() != 0) {
    out.put(", spawned at ");
    out.put_place(running_task->here);
  }
  out.put("\n");
  tree_walker{on, out, on.now()}.print_frames(*running_task, 1);
}

void print_task_tree(loop& on, text_sink& out) noexcept {
  const loop_stats stats = on.stats();
  out.put("loop \"");
  out.put(on.name());
  out.put("\" (");
  out.put(on.io().name());
  out.put("): ");
  out.put_number(stats.tasks_live);
  out.put(" tasks, ");
  out.put_number(stats.timers_live);
  out.put(" timers, ");
  out.put_number(stats.steps);
  out.put(" steps\n");
  tree_walker walker{on, out, on.now()};
  walker.print_scope(on.root(), 1);
  if (stats.tasks_live > walker.printed) {
    out.put("  ... and ");
    out.put_number(stats.tasks_live - walker.printed);
    out.put(" more tasks\n");
  }
}

}  // namespace detail

void print_task_tree() noexcept {
  if (loop* on = loop::current()) {
    detail::stderr_sink out;
    detail::print_task_tree(*on, out);
  }
}

}  // namespace weir
