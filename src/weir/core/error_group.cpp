#include <weir/core/error_group.hpp>

#include <weir/base/program_here.hpp>
#include <weir/base/text.hpp>
#include <weir/core/error_trace.hpp>
#include <weir/core/string_sink.hpp>
#include <weir/core/unhandled.hpp>

#include <algorithm>
#include <cstddef>
#include <new>
#include <optional>
#include <string>
#include <utility>

namespace weir {

namespace detail {

error_trace* make_error_trace() noexcept { return new (std::nothrow) error_trace; }
void free_error_trace(error_trace* trace) noexcept { delete trace; }
error_list* make_error_list() noexcept { return new (std::nothrow) error_list; }

error_list::~error_list() {
  for (std::size_t i = 0; i < count; ++i) free_error_trace((*this)[i].trace);
  delete[] others;
}

bool error_list::has_room() noexcept {
  if (count == 0) return true;
  if (!others) others = new (std::nothrow) failure[size_max - 1];
  return others && count < size_max;
}

bool error_list::has(const std::exception_ptr& what) const noexcept {
  for (std::size_t i = 0; i < count; ++i) {
    if ((*this)[i].what == what) return true;
  }
  return false;
}

void error_list::add(failure one) noexcept {
  if (is_fixed || !has_room()) {
    if (!is_fixed) ++dropped;
    free_error_trace(one.trace);
    return;
  }
  at(count) = std::move(one);
  ++count;
}

void error_list::sort_by_task() noexcept {
  for (std::size_t i = 1; i < count; ++i) {
    for (std::size_t j = i; j > 0 && at(j).task < at(j - 1).task; --j) std::swap(at(j), at(j - 1));
  }
}

error_list* error_list_without_memory() noexcept {
  static error_list* const shared = [] {
    alignas(error_list) static std::byte memory[sizeof(error_list)];
    auto* made = ::new (static_cast<void*>(memory)) error_list;
    made->add({.what = std::make_exception_ptr(std::bad_alloc()), .spawned_at = {}});
    made->dropped = 1;
    made->is_fixed = true;
    return made;
  }();
  return shared;
}

error_list& ensured(error_list*& list) noexcept {
  if (!list) list = make_error_list();
  if (!list) list = error_list_without_memory();
  return *list;
}

failure failure_of(task_header& task, std::exception_ptr what, const char* scope) noexcept {
  const bool is_traced = task.trace && task.trace->climbing == what;
  return {.what = std::move(what),
          .trace = is_traced ? std::exchange(task.trace, nullptr) : nullptr,
          .task = task.id,
          .spawned_at = task.here,
          .scope = scope};
}

void climb_on(const failure& one) noexcept {
  if (!running_task || !one.trace) return;
  error_trace* const copy = new (std::nothrow) error_trace(*one.trace);
  if (!copy) return;
  copy->expected = reinterpret_cast<const frame_base*>(running_leaf & ~frame_base::bits);
  free_error_trace(std::exchange(running_task->trace, copy));
}

void report_failure(failure one) noexcept {
  std::exception_ptr what = one.what;
  error_list* list = make_error_list();
  if (!list) {
    free_error_trace(one.trace);
    return report_unhandled(
        {.text = "an error, and no memory to describe it", .what = what, .is_report = true});
  }
  list->add(std::move(one));
  const error_group group(list);
  report_unhandled({.text = group.what(), .what = what, .is_report = true});
}

void print_trace(const error_trace& trace, text_sink& out) noexcept {
  const std::uint32_t shown =
      trace.count < error_trace::places_max ? trace.count : error_trace::places_max;
  for (std::uint32_t i = 0; i < shown; ++i) {
    out.put("\n    in ");
    out.put(trace.places[i].function_name());
    out.put(i == 0 ? ", last seen at " : " at ");
    out.put_place(trace.places[i]);
  }
  if (trace.count > shown) {
    out.put("\n    ... ");
    out.put_number(trace.count - shown);
    out.put(" more");
  }
}

namespace {

// A text of several lines, such as that of a group in a group, stands behind its number.
class indented_sink final : public text_sink {
 public:
  explicit indented_sink(text_sink& to) noexcept : to_(to) {}
  using text_sink::put;
  void put(const char* text, std::size_t size) noexcept override {
    const char* const end = text + size;
    while (text != end) {
      const char* const next = std::find(text, end, '\n');
      const char* const stop = next == end ? end : next + 1;
      to_.put(text, static_cast<std::size_t>(stop - text));
      if (next != end) to_.put("    ");
      text = stop;
    }
  }

 private:
  text_sink& to_;
};

}  // namespace

void print_failure(const failure& one, text_sink& out) noexcept {
  indented_sink inside(out);
  describe_exception(one.what, inside);
  if (one.trace) print_trace(*one.trace, out);
  if (one.task == 0 && one.spawned_at.line() == 0) return;  // gathered by hand: no scope knows more
  out.put("\n    task ");
  out.put_number(one.task);
  out.put(" of scope \"");
  out.put(one.scope);
  out.put("\"");
  if (one.spawned_at.line() != 0) {
    out.put(" spawned at ");
    out.put_place(one.spawned_at);
  }
}

void add_failure(error_list& to, const error_list& from, std::size_t at) noexcept {
  failure copy = from[at];
  if (copy.trace) copy.trace = new (std::nothrow) error_trace(*copy.trace);
  to.add(std::move(copy));
}

}  // namespace detail

error_group::error_group(const error_group& other) noexcept
    : std::exception(other), list_(other.list_) {
  __atomic_add_fetch(&list_->owners, 1u, __ATOMIC_RELAXED);
}

const error_group* detail::group_in(const std::exception_ptr& failure) noexcept {
  try {
    std::rethrow_exception(failure);
  } catch (const error_group& group) {
    return &group;
  } catch (...) {
    return nullptr;
  }
}

error_group error_group::of(const std::exception_ptr* errors, std::size_t count, const char* name) {
  detail::error_list* list = detail::make_error_list();
  if (!list) throw std::bad_alloc();
  const error_group made(list);
  for (std::size_t i = 0; i < count; ++i)
    list->add({.what = errors[i], .spawned_at = {}, .scope = name});
  return made;
}

void error_group::raise_if_any() const {
  if (is_empty()) return;
  if (size() == 1 && dropped() == 0) {
    detail::climb_on((*list_)[0]);
    std::rethrow_exception(first());
  }
  throw error_group(*this);
}

namespace {
const detail::failure* only_failure_in(const std::exception& group) noexcept {
  const auto* errors = dynamic_cast<const error_group*>(&group);
  return errors && errors->size() == 1 ? &errors->list()[0] : nullptr;
}
}  // namespace

std::exception_ptr detail::single_error(const std::exception& group) noexcept {
  const failure* const only = only_failure_in(group);
  return only ? only->what : std::current_exception();
}

void detail::rethrow_single(const std::exception& group) {
  if (const failure* const only = only_failure_in(group)) climb_on(*only);
  std::rethrow_exception(single_error(group));
}

error_group::~error_group() {
  if (list_->is_fixed) return;
  if (__atomic_sub_fetch(&list_->owners, 1u, __ATOMIC_ACQ_REL) == 0) delete list_;
}

std::size_t error_group::size() const noexcept { return list_->count; }
std::size_t error_group::dropped() const noexcept { return list_->dropped; }
const std::exception_ptr& error_group::operator[](std::size_t at) const noexcept {
  return (*list_)[at].what;
}

const char* error_group::what() const noexcept {
  if (const char* kept = list_->text.get()) return kept;
  std::optional<detail::world_runs> keeping;
  if (list_->is_fixed) keeping.emplace();  // it outlives a simulated program
  detail::string_sink out;
  out.put_number(list_->count);
  out.put(list_->count == 1 ? " error:" : " errors:");
  for (std::size_t i = 0; i < list_->count; ++i) {
    out.put("\n  [");
    out.put_number(i + 1);
    out.put("] ");
    detail::print_failure((*list_)[i], out);
  }
  if (list_->dropped != 0) {
    out.put("\n  and ");
    out.put_number(list_->dropped);
    out.put(" more that were not kept");
  }
  try {
    return list_->text.keep(std::move(out.text));
  } catch (const std::bad_alloc&) {
    return "weir::error_group (out of memory while describing it)";
  }
}

void detail::describe_exception(const std::exception_ptr& failure, text_sink& out) noexcept {
  try {
    std::rethrow_exception(failure);
  } catch (const exception& e) {
    const error& reason = e.reason();
    out.put(e.what());
    if (reason.place().line() != 0) {
      out.put(" [");
      out.put_place(reason.place());
      out.put("]");
    }
  } catch (const std::exception& e) {
    out.put(e.what());
  } catch (...) {
    out.put("an exception that is not a std::exception");
  }
}

std::string describe(const std::exception_ptr& failure) {
  detail::string_sink out;
  detail::describe_exception(failure, out);
  return std::move(out.text);
}

}  // namespace weir
