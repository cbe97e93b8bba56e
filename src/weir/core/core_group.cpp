#include <weir/core/core_group.hpp>

#include <weir/base/assert.hpp>
#include <weir/core/error_group.hpp>
#include <weir/core/local.hpp>
#include <weir/core/loop.hpp>

#include <exception>
#include <limits>
#include <mutex>
#include <new>
#include <string>

namespace weir {

namespace detail {

namespace {

struct core_membership {
  core_group* group;
  std::size_t index;
};
constinit const local<core_membership> membership{"core"};

const core_membership& membership_here() noexcept {
  const core_membership* const found = membership.get();
  WEIR_ASSERT(found && "cores() and this_core() are for tasks inside of core_group::run()");
  return *found;
}

}  // namespace

/// One core: the line of calls to it, and the bell that tells its loop of them.
class core_state {
 public:
  std::size_t index = 0;
  std::size_t calls_max = 0;
  std::string label;  // "call from core 2": of what this core calls elsewhere

  core_state() = default;
  core_state(const core_state&) = delete;
  core_state& operator=(const core_state&) = delete;
  ~core_state() {
    WEIR_ASSERT(!on_ && "a core_group outlives the programs of its cores");
    WEIR_ASSERT(waiting_.is_empty() && "a core_group outlives the calls to its cores");
  }

  bool is_here() const noexcept {
    const std::lock_guard guard(lock_);
    return on_ && on_ == loop::current();
  }
  void enter(scope& calls) noexcept;
  void close() noexcept;
  void leave() noexcept;

  std::optional<errc> submit(core_call& one) noexcept;
  bool withdraw(core_call& one) noexcept;
  void end(core_call& one) noexcept;
  core_stats stats() const noexcept {
    const std::lock_guard guard(lock_);
    return stats_;
  }
  bool is_closed() const noexcept {
    const std::lock_guard guard(lock_);
    return is_closed_;
  }

 private:
  /// Ends the call when it is destroyed, which a cancelled task's frame is, too: run or not.
  class answer {
   public:
    answer(core_state& core, core_call& of) noexcept : core_(&core), of_(&of) {}
    answer(answer&& other) noexcept : core_(other.core_), of_(std::exchange(other.of_, nullptr)) {}
    answer& operator=(answer&&) = delete;
    ~answer() {
      if (of_) core_->end(*of_);
    }
    core_call& call() const noexcept { return *of_; }

   private:
    core_state* core_;
    core_call* of_;
  };
  struct bell : post_node {
    core_state* of = nullptr;
  };

  static task<> serve(answer to);
  void begin(core_call& one) noexcept;
  static void cancel_inside(core_call& one) noexcept;
  void hear_bell() noexcept;
  void ring() noexcept;
  core_call* next_waiting() noexcept;
  core_call* next_cancelled() noexcept;

  mutable std::mutex lock_;
  loop* on_ = nullptr;  // from enter to leave
  scope* calls_ = nullptr;
  bool is_closed_ = false;
  bool is_rung_ = false;
  bell bell_;
  intrusive_list<core_call> waiting_;
  intrusive_list<core_call> cancelled_;  // begun, and to be cancelled
  core_stats stats_;
};

struct core_watches {
  std::mutex lock;
  intrusive_list<core_watch> all;
};

void core_state::enter(scope& calls) noexcept {
  const std::lock_guard guard(lock_);
  WEIR_ASSERT(!is_closed_ && !on_ && "a core has one program");
  on_ = &calls.on();
  calls_ = &calls;
  bell_.of = this;
  bell_.run = [](post_node& node) noexcept { static_cast<bell&>(node).of->hear_bell(); };
  if (!waiting_.is_empty()) ring();
}

// Those that have not begun hear of it, whoever ends first: they are in no post.
void core_state::close() noexcept {
  {
    const std::lock_guard guard(lock_);
    is_closed_ = true;
  }
  while (core_call* const one = next_waiting()) end(*one);
}

void core_state::leave() noexcept {
  close();
  const std::lock_guard guard(lock_);
  WEIR_ASSERT(stats_.begun == 0);
  on_ = nullptr;
  calls_ = nullptr;
}

std::optional<errc> core_state::submit(core_call& one) noexcept {
  const std::lock_guard guard(lock_);
  std::optional<errc> refusal;
  if (is_closed_) {
    refusal = errc::closed;
  } else if (stats_.waiting + stats_.begun >= calls_max) {
    refusal = errc::full;
  }
  if (refusal) {
    ++stats_.refused;
    return refusal;
  }
  ++stats_.waiting;
  waiting_.push_back(one);
  ring();
  return {};
}

// True: it never begins. False: its answer comes.
bool core_state::withdraw(core_call& one) noexcept {
  const std::lock_guard guard(lock_);
  if (one.state_ == core_call::call_state::waiting) {
    one.unlink();
    one.state_ = core_call::call_state::ended;
    --stats_.waiting;
    ++stats_.ended;
    return true;
  }
  if (one.state_ == core_call::call_state::begun && !one.is_linked()) {
    cancelled_.push_back(one);
    ring();
  }
  return false;
}

void core_state::end(core_call& one) noexcept {
  loop& home = *one.home_;
  {
    const std::lock_guard guard(lock_);
    one.unlink();
    one.state_ = core_call::call_state::ended;
    --stats_.begun;
    ++stats_.ended;
  }
  home.post_node(one);  // which may be gone from here on
}

// Under the lock: once leave() has had it, nobody posts to the loop any more.
void core_state::ring() noexcept {
  if (!on_ || is_rung_) return;
  is_rung_ = true;
  on_->post_node(bell_);
}

void core_state::hear_bell() noexcept {
  {
    const std::lock_guard guard(lock_);
    is_rung_ = false;
  }
  while (core_call* const one = next_waiting()) begin(*one);
  while (core_call* const one = next_cancelled()) cancel_inside(*one);
}

core_call* core_state::next_waiting() noexcept {
  const std::lock_guard guard(lock_);
  if (waiting_.is_empty()) return nullptr;
  core_call& one = waiting_.pop_front();
  one.state_ = core_call::call_state::begun;
  --stats_.waiting;
  ++stats_.begun;
  return &one;
}

core_call* core_state::next_cancelled() noexcept {
  const std::lock_guard guard(lock_);
  return cancelled_.is_empty() ? nullptr : &cancelled_.pop_front();
}

// Its frame tells how it ended, and so does `to` when there is no memory for one.
void core_state::begin(core_call& one) noexcept {
  one.lacks_memory_ = true;
  try {
    calls_->spawn_at(one.place_, &serve, answer(*this, one));
    one.lacks_memory_ = false;       // it is there still: the task begins later
  } catch (const std::bad_alloc&) {  // NOLINT: the call has been told
  }
}

void core_state::cancel_inside(core_call& one) noexcept {
  one.is_unwanted_ = true;
  if (one.inside_) one.inside_->cancel("the caller was cancelled");
}

// The scope of the call ends in the step in which this frame does, so nobody cancels it in between.
task<> core_state::serve(answer to) {
  core_call& one = to.call();
  const time_point now = loop::current()->now();
  one.is_late_ = one.deadline_ <= now;
  if (one.is_unwanted_ || one.is_late_ || scope::current()->is_cancelled()) co_return;
  one.has_begun_ = true;
  scope_options options{.name = one.label_};
  if (one.deadline_ != time_point::never()) options.timeout = one.deadline_ - now;
  if (!one.locals_.empty()) options.local = one.locals_.data();
  try {
    const scope_end end = co_await with_scope(options, [&](scope& inside) -> task<> {
      one.inside_ = &inside;
      co_await one.start();
      one.has_value_ = true;
    });
    one.is_late_ = end.reason.kind == cancel_kind::deadline;
  } catch (const std::exception& group) {
    one.failure_ = single_error(group);  // without a trace, which would share it with this core
  }
}

core_call::core_call(core_state& on, std::source_location place)
    : leaf_wait(kind_), core_(on), place_(place), home_(loop::current()), label_("call") {
  WEIR_ASSERT(home_ && "a call to a core is made by a task");
  const scope* const here = scope::current();
  deadline_ = here->effective_deadline();
  for (const scope* s = here; s; s = s->parent()) {
    for (const local_binding* one = s->local(); one; one = one->next) {
      if (one->key == &membership) {
        const auto& from = *static_cast<const core_membership*>(one->value);
        label_ = from.group->state_of(from.index).label.c_str();
      } else {
        locals_.push_back({.key = one->key, .value = one->value});
      }
    }
  }
  for (std::size_t i = 1; i < locals_.size(); ++i) locals_[i - 1].next = &locals_[i];
}

constinit const wait_kind core_call::kind_{"call to a core", &core_call::leave,
                                           &core_call::describe};

bool core_call::is_at_home() const noexcept { return core_.is_here(); }

bool core_call::try_now() noexcept {
  run = [](post_node& node) noexcept { static_cast<core_call&>(node).answered(); };
  refusal_ = core_.submit(*this);
  return refusal_.has_value();
}

void core_call::answered() noexcept {
  if (is_late_) end_what_is_late();
  const bool has_outcome = has_value_ || failure_;
  if (is_given_up_ && !has_outcome) return complete_cancelled();
  complete();
}

// The deadline that the call had over there is that of a scope here, whose timer is due, too: the
// scope is to be cut short by it, as it is without a call, and not to fail.
void core_call::end_what_is_late() noexcept {
  const time_point now = home_->now();
  for (scope* s = task->current; s; s = s->parent()) {
    if (s->deadline() > now) continue;
    return s->cancel({.kind = cancel_kind::deadline, .text = "deadline passed"});
  }
}

result<void> core_call::take() noexcept {
  if (failure_ || has_value_ || lacks_memory_) return {};
  if (refusal_ == errc::full) {
    return fail(
        error(errc::full, "call to a core: core_group_options::calls_max are there", place_));
  }
  if (is_late_) return fail(error(errc::timed_out, "call to a core: its deadline passed", place_));
  if (!has_begun_) {
    return fail(error(errc::closed, "call to a core: its program has ended", place_));
  }
  return fail(error(errc::broken, "call to a core: it was cut off there", place_));
}

void core_call::rethrow_failure() {
  if (lacks_memory_) throw std::bad_alloc();
  if (failure_) std::rethrow_exception(std::move(failure_));
}

void core_call::leave(wait& w) noexcept {
  auto& self = static_cast<core_call&>(w);
  self.is_given_up_ = true;
  if (self.core_.withdraw(self)) self.complete_cancelled();
}

void core_call::describe(const wait& w, text_sink& out) noexcept {
  const auto& self = static_cast<const core_call&>(w);
  out.put_number(self.core_.index);
  switch (self.state_.load(std::memory_order_relaxed)) {
    case call_state::waiting:
      return out.put(", not begun");
    case call_state::begun:
      return out.put(", at work");
    case call_state::ended:
      return out.put(", on its way back");
  }
}

}  // namespace detail

core_group::core_group(std::size_t size, core_group_options options)
    : size_(size),
      options_(options),
      cores_(new detail::core_state[size]),
      watches_(new detail::core_watches) {
  WEIR_ASSERT(size > 0 && "a core_group has one core at least");
  WEIR_ASSERT(options.calls_max > 0 && "a core_group lets one call wait at least: calls_max");
  for (std::size_t i = 0; i < size; ++i) {
    cores_[i].index = i;
    cores_[i].calls_max = options.calls_max;
    cores_[i].label = "call from core " + std::to_string(i);
  }
}

core_group::~core_group() = default;

detail::core_state& core_group::state_of(std::size_t index) const noexcept {
  WEIR_ASSERT(index < size_ && "there is no such core");
  return cores_[index];
}

task<> core_group::run(std::size_t index, task<> program) {
  struct stay {
    core_group& group;
    detail::core_state& core;
    ~stay() {
      core.leave();
      group.close(core.index);  // perhaps for the second time: it may never have opened
    }
  } const here{*this, state_of(index)};
  const detail::core_membership mine{.group = this, .index = index};
  const detail::local_binding binding{.key = &detail::membership, .value = &mine};
  // Two scopes: calls_max bounds the calls, and what the program spawns takes no place of theirs.
  constexpr std::uint32_t no_limit = std::numeric_limits<std::uint32_t>::max();
  co_await with_scope({.name = "core", .tasks_max = no_limit, .local = &binding},
                      [&](scope& calls) -> task<> {
                        struct open {
                          const stay& here;
                          ~open() { here.group.close(here.core.index); }
                        } const until_the_end{here};
                        here.core.enter(calls);
                        co_await with_scope({.name = "program"},
                                            [&](scope&) -> task<> { co_await std::move(program); });
                      });
}

void core_group::close(std::size_t index) noexcept {
  state_of(index).close();
  const std::lock_guard guard(watches_->lock);
  for (detail::core_watch& one : watches_->all) one.core_closed(index);
}

// Whoever is closed before the list has it is found here, whoever is afterwards tells it: or both.
void core_group::watch(detail::core_watch& one) noexcept {
  {
    const std::lock_guard guard(watches_->lock);
    watches_->all.push_back(one);
  }
  for (std::size_t i = 0; i < size_; ++i) {
    if (cores_[i].is_closed()) one.core_closed(i);
  }
}

void core_group::unwatch(detail::core_watch& one) noexcept {
  const std::lock_guard guard(watches_->lock);
  one.unlink();
}

core_stats core_group::stats(std::size_t index) const noexcept { return state_of(index).stats(); }

core_group& cores() noexcept { return *detail::membership_here().group; }
std::size_t this_core() noexcept { return detail::membership_here().index; }
bool is_on_core() noexcept { return detail::membership.get() != nullptr; }

}  // namespace weir
