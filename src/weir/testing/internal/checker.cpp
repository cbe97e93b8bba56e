#include <weir/testing/internal/checker.hpp>

#include <weir/base/assert.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstdio>
#include <iterator>
#include <utility>

namespace weir::model::detail {

namespace {
thread_local checker* checker_now = nullptr;
}  // namespace

checker::checker(const check_options& options, thread_body body)
    : options_(options),
      body_(body),
      has_weakened_(options.weakened.size()),
      around_(std::exchange(checker_now, this)) {
  threads_[0].stack.emplace();
  for (model_thread& one : threads_) one.of = this;
}

checker::~checker() { checker_now = around_; }

checker& checker::current() noexcept {
  WEIR_ASSERT(checker_now && "what the model provides lives inside of model::check()");
  return *checker_now;
}

void checker::begin_run() {
  all_.rewind();
  decide_.asked = 0;
  memory_.restart();
  preemptions_ = spurious_failures_ = 0;
  threads_[0].looked = 0;
  steps_.clear();
}

verdict checker::run() {
  verdict found;
  do {
    begin_run();
    try {
      body_.run(body_.argument);
    } catch (const run_over&) {
      WEIR_ASSERT(has_failed_);
    }
    ++found.runs;
    if (has_failed_) {
      found.failure = std::move(failure_);
      found.steps = text_of(steps_);
      return found;
    }
    found.is_complete = !all_.advance();
  } while (!found.is_complete && found.runs < options_.runs_max);
  found.orders = std::move(orders_);
  for (std::size_t i = 0; i < has_weakened_.size(); ++i) {
    if (!has_weakened_[i]) {
      found.failure =
          fmt::format("there is no {} {} in {} to be weakened", name(options_.weakened[i].what),
                      name(options_.weakened[i].from), options_.weakened[i].function);
    }
  }
  return found;
}

void checker::fail(std::string text) {
  if (has_failed_) return;
  has_failed_ = true;
  failure_ = std::move(text);
}

// Out of the body by an exception: where that meets a noexcept function of a part under test, the
// process stops, so what it was is said before.
void checker::give_up() {
  if (now_ == 0) {
    std::fprintf(stderr, "model check, in the body: %s\n%s", failure_.c_str(),
                 text_of(steps_).c_str());
    throw run_over();
  }
  switch_to(0);  // for good: parallel() ends the run
}

void checker::enter(void* thread) {
  auto& self = *static_cast<model_thread*>(thread);
  for (;;) {  // once for each run
    try {
      self.body.run(self.body.argument);
    } catch (...) {
      self.of->has_failed_ = true;
      self.of->failure_ = "an exception has left a thread";
    }
    if (self.of->has_failed_) self.of->give_up();
    self.state = thread_state::ended;
    self.of->leave();
  }
}

void checker::parallel(const thread_body* threads, std::uint32_t count) {
  WEIR_ASSERT(now_ == 0 && "parallel() is called by the body");
  if (has_failed_) throw run_over();
  for (model_thread& one : threads_) one.state = thread_state::none;
  for (std::uint32_t i = 1; i <= count; ++i) {
    model_thread& one = threads_[i];
    one.state = thread_state::ready;
    one.looked = 0;
    one.has_seen_change = false;
    one.body = threads[i - 1];
    if (!one.stack) one.stack.emplace(&checker::enter, &one);
    memory_.start_thread(i);
  }
  leave();
  if (has_failed_) throw run_over();
  for (std::uint32_t i = 1; i <= count; ++i) memory_.join_thread(i);
}

void checker::switch_to(std::uint32_t thread) noexcept {
  is_fresh_ = true;
  if (thread == now_) return;
  model_thread& from = threads_[std::exchange(now_, thread)];
  from.stack->switch_to(*threads_[thread].stack);
}

// Whoever looks goes on when it would read something else than it knows. By values, not by writes:
// two that try to take a lock by exchange() would wake each other for ever.
bool checker::is_ready(const model_thread& one) const noexcept {
  if (one.state != thread_state::looking) return one.state == thread_state::ready;
  if (one.looked == 0 || one.has_seen_change) return true;
  for (std::uint64_t left = one.looked; left != 0; left &= left - 1) {
    const auto at = static_cast<location_id>(std::countr_zero(left));
    if (memory_.newest(at) != one.known[at]) return true;
  }
  return false;
}

std::uint32_t checker::gather_ready(bool with_running) noexcept {
  std::uint32_t count = 0;
  for (std::uint32_t i = 1; i < threads_.size(); ++i) {
    if ((with_running || i != now_) && is_ready(threads_[i])) ready_[count++] = i;
  }
  return count;
}

void checker::let_others_go_first() {
  if (now_ == 0 || preemptions_ == options_.preemptions_max) return;
  const std::uint32_t others = gather_ready(false);
  const std::size_t chosen = decide_.among(choice_kind::task, others + 1);
  if (chosen == 0) return;
  ++preemptions_;
  switch_to(ready_[chosen - 1]);
}

void checker::leave() {
  const std::uint32_t count = gather_ready(true);
  if (count != 0) {
    switch_to(ready_[decide_.among(choice_kind::task, count)]);
    // Whoever was left while it looked, goes on because there is something to see.
    if (threads_[now_].state == thread_state::looking) threads_[now_].state = thread_state::ready;
    return;
  }
  const bool is_over = std::all_of(threads_.begin() + 1, threads_.end(), [](const auto& one) {
    return one.state == thread_state::none || one.state == thread_state::ended;
  });
  if (!is_over) fail(stuck_text());
  switch_to(0);
}

std::string checker::stuck_text() const {
  std::string text = "deadlock:";
  for (std::uint32_t i = 1; i < threads_.size(); ++i) {
    const model_thread& one = threads_[i];
    if (one.state != thread_state::blocked && one.state != thread_state::looking) continue;
    fmt::format_to(std::back_inserter(text), " thread {} waits at {};", i,
                   place_text(one.waits_at));
  }
  text.pop_back();
  return text;
}

void checker::note_order(operation what, std::memory_order order, place where) {
  const bool is_known = std::any_of(orders_.begin(), orders_.end(), [&](const auto& one) {
    return one.what == what && one.order == order && one.where.line() == where.line() &&
           one.where.column() == where.column() && one.where.file_name() == where.file_name();
  });
  if (!is_known) orders_.push_back({.what = what, .order = order, .where = where});
}

std::memory_order checker::order_of(operation what, std::memory_order order, place where) {
  if (options_.notes_orders && order != std::memory_order_relaxed) note_order(what, order, where);
  for (std::size_t i = 0; i < options_.weakened.size(); ++i) {
    const weakening& one = options_.weakened[i];
    if (one.what != what || one.from != order || !is_in(where, one.function)) continue;
    if (one.line != 0 && one.line != where.line()) continue;
    has_weakened_[i] = true;
    return one.to;
  }
  return order;
}

step& checker::begin_step(operation what, place where) {
  if (!std::exchange(is_fresh_, false)) let_others_go_first();
  is_fresh_ = false;
  if (steps_.size() >= options_.steps_max) {
    fail(fmt::format("a run has more than {} steps", options_.steps_max));
    give_up();
  }
  steps_.push_back({.thread = now_, .what = what, .where = where});
  return steps_.back();
}

location_id checker::make_location(std::uint64_t initial) {
  if (!memory_.has_room()) {
    fail(fmt::format("a run makes more than {} atomics", locations_max));
    give_up();
  }
  return memory_.make_location(initial);
}

void checker::note_read(step& one, const what_was_read& found) noexcept {
  one.has_read = true;
  one.read = found.value;
  one.read_from = found.by_step;
  model_thread& self = threads_[now_];
  const std::uint64_t bit = std::uint64_t{1} << one.at;
  if ((self.looked & bit) != 0 && self.known[one.at] != found.value) self.has_seen_change = true;
  self.looked |= bit;
  self.known[one.at] = found.value;
}

void checker::note_write(step& one, std::uint64_t value) noexcept {
  one.has_written = true;
  one.written = value;
  threads_[now_].known[one.at] = value;
}

std::uint64_t checker::load(location_id at, std::memory_order order, place where) {
  step& one = begin_step(operation::load, where);
  one.at = at;
  one.order = order_of(operation::load, order, where);
  const what_was_read found = memory_.load(access_of(at, one.order));
  note_read(one, found);
  return found.value;
}

void checker::store(location_id at, std::uint64_t value, std::memory_order order, place where) {
  step& one = begin_step(operation::store, where);
  one.at = at;
  one.order = order_of(operation::store, order, where);
  note_write(one, value);
  memory_.store(access_of(at, one.order), value);
}

std::uint64_t checker::update(location_id at, const update_request& request,
                              std::memory_order order, place where) {
  step& one = begin_step(request.what, where);
  one.at = at;
  one.order = order_of(request.what, order, where);
  const what_was_read found =
      memory_.update(access_of(at, one.order), request.how, request.operand);
  note_read(one, found);
  note_write(one, request.how(found.value, request.operand));
  return found.value;
}

bool checker::compare_exchange(location_id at, std::uint64_t& expected,
                               const exchange_request& request, place where) {
  step& one = begin_step(operation::compare_exchange, where);
  one.at = at;
  one.order = order_of(operation::compare_exchange, request.success, where);
  const what_was_read found = memory_.compare_exchange(
      access_of(at, one.order),
      {.expected = expected,
       .desired = request.desired,
       .order_of_failure = request.failure,
       .may_fail_spuriously =
           request.is_weak && spurious_failures_ < options_.spurious_failures_max});
  note_read(one, found);
  if (found.is_exchanged) {
    note_write(one, request.desired);
    return true;
  }
  if (found.value == expected) {
    ++spurious_failures_;
    threads_[now_].has_seen_change = true;  // another try may succeed
  }
  expected = found.value;
  return false;
}

void checker::fence(std::memory_order order, place where) {
  step& one = begin_step(operation::fence, where);
  one.order = order_of(operation::fence, order, where);
  memory_.fence(now_, one.order);
}

std::string checker::race_text(bool is_read, std::uint32_t writer, place where) const {
  return fmt::format(
      "data race: thread {} {} {} what {}", now_, is_read ? "reads" : "writes",
      where.line() != 0 ? "at " + place_text(where) : fmt::format("after step {}", steps_.size()),
      is_read ? fmt::format("thread {} has written", writer) : "another thread has touched");
}

// No step to stop at: a race is found by what happens before, whenever the others come.
void checker::touch_cell(cell_history& of, operation what, place where) {
  if (has_failed_) return;
  const bool is_read = what == operation::read;
  const std::uint32_t writer = of.writer;
  if (is_read ? memory_.read_cell(now_, of) : memory_.write_cell(now_, of)) return;
  fail(race_text(is_read, writer, where));
  steps_.push_back({.thread = now_, .what = what, .where = where});
  if (now_ != 0) give_up();  // the body goes on: this may be the end of a cell
}

void checker::block_on(const void* what, place where) {
  WEIR_ASSERT(now_ != 0 && "the body must not wait");
  model_thread& self = threads_[now_];
  self.state = thread_state::blocked;
  self.waits_for = what;
  self.waits_at = where;
  leave();
}

void checker::wake_all(const void* what) noexcept {
  for (model_thread& one : threads_) {
    if (one.state == thread_state::blocked && one.waits_for == what)
      one.state = thread_state::ready;
  }
}

void checker::wake_one(const void* what) {
  std::uint32_t count = 0;
  for (std::uint32_t i = 1; i < threads_.size(); ++i) {
    const model_thread& one = threads_[i];
    if (one.state == thread_state::blocked && one.waits_for == what) ready_[count++] = i;
  }
  if (count == 0) return;
  threads_[ready_[decide_.among(choice_kind::task, count)]].state = thread_state::ready;
}

void checker::yield(place where) {
  model_thread& self = threads_[now_];
  steps_.push_back({.thread = now_, .what = operation::yield, .where = where});
  if (steps_.size() >= options_.steps_max) {
    fail(fmt::format("a run has more than {} steps", options_.steps_max));
    give_up();
  }
  if (now_ != 0) {
    self.state = thread_state::looking;
    self.waits_at = where;
    leave();
  }
  memory_.look_again(now_, std::exchange(self.looked, 0));
  self.has_seen_change = false;
}

}  // namespace weir::model::detail
