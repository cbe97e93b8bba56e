#include <weir/flow/detail/handler_queue.hpp>

#include <weir/base/defect.hpp>
#include <weir/core/scope.hpp>

#include <memory>
#include <string>
#include <utility>

namespace weir::detail {

namespace {
constinit thread_local handler_queue* queues_of_thread = nullptr;
}

scope& scope_here(const char* what) {
  loop* const on = loop::current();
  if (!on) {
    raise(error(errc::invalid_argument,
                std::string(what) + ": this thread runs no loop; post() to one and do it there"));
  }
  scope* const now = scope::current();
  return now ? *now : on->root();
}

void raise_no_handler(std::source_location place) {
  raise(error(errc::invalid_argument,
              "then: the handler is empty, and the value has another type than its result", place));
}

/// The wait of the task between handlers. It is never ended from outside: a cancellation takes the
/// handlers that are not due out of their lines, and when none is on its way the task ends.
class handler_queue::more final : public wait {
 public:
  static constexpr auto when_cancelled = cancel_safety::point_of_no_return;
  explicit more(handler_queue& of) noexcept : wait(kind_), of_(of) {}
  void bind(frame_base&) noexcept { task = running_task; }
  bool await_ready() const noexcept { return false; }
  template <class P>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<P> from) noexcept {
    task->leaf = reinterpret_cast<std::uintptr_t>(static_cast<frame_base*>(&from.promise()));
    if (task->is_cancelled()) of_.cancel_standing();
    if (!of_.due_.is_empty() || of_.is_idle()) return requeue(*task);  // others have their turn
    begin();
    of_.waiting_ = this;
    return next_step();
  }
  void await_resume() const noexcept {}

 private:
  static void leave(wait& w) noexcept {
    handler_queue& of = static_cast<more&>(w).of_;
    of.cancel_standing();
    if (of.is_idle()) of.wake();
  }
  static void describe(const wait& w, text_sink& out) noexcept {
    out.put_number(static_cast<const more&>(w).of_.standing_.count());
    out.put(" of them");
  }
  static constexpr wait_kind kind_{"promises with handlers", &leave, &describe};
  handler_queue& of_;
};

handler_queue::handler_queue(scope& of, loop& on) noexcept
    : scope_(of), loop_(on), next_of_thread_(queues_of_thread) {
  queues_of_thread = this;
}

handler_queue::~handler_queue() {
  WEIR_ASSERT(is_idle());  // (2)
  handler_queue** at = &queues_of_thread;
  while (*at != this) at = &(*at)->next_of_thread_;
  *at = next_of_thread_;
}

handler_queue& handler_queue::here(std::source_location place) {
  scope& owner = scope_here("then");
  for (handler_queue* one = queues_of_thread; one; one = one->next_of_thread_) {
    if (&one->scope_ == &owner) return *one;
  }
  auto made = std::make_unique<handler_queue>(owner, owner.on());
  // Its frame is made here: without memory for it, spawn() would take that as the task's failure.
  task<> serving = serve(made.get());
  owner.spawn_at(place, given_task<void>{std::move(serving)});
  return *made.release();
}

task<> handler_queue::serve(handler_queue* taken) {
  const std::unique_ptr<handler_queue> mine(taken);
  constexpr int handlers_max = 64;  // in a row: then other tasks have their turn
  while (!mine->is_idle()) {
    for (int i = 0; i < handlers_max && !mine->due_.is_empty(); ++i) mine->due_.pop_front().run();
    if (!mine->is_idle()) co_await more(*mine);
  }
}

void handler_queue::wake() noexcept {
  if (waiting_) std::exchange(waiting_, nullptr)->complete();
}

void handler_queue::make_due(reaction& one) noexcept {
  one.list_hook<handler_queue>::unlink();
  if (is_planted("flow: the handler that is due last runs first")) {
    due_.push_front(one);
  } else {
    due_.push_back(one);
  }
  wake();
}

// One that stood and whose source has been settled; then those behind it, up to the next that is on
// its way (3).
void handler_queue::arrive(reaction& one) noexcept {
  promise_core* const from = one.source;
  from->standing_handlers.fetch_sub(1, std::memory_order_relaxed);
  make_due(one);
  if (behind_ == 0) [[likely]]
    return;
  for (auto at = standing_.begin(); at != standing_.end();) {
    reaction& next = *at;
    ++at;
    if (next.source != from) continue;
    if (!next.is_behind_) break;
    next.is_behind_ = false;
    --behind_;
    make_due(next);
  }
}

bool handler_queue::has_earlier(const reaction& one) noexcept {
  for (const reaction& other : standing_) {
    if (&other != &one && other.source == one.source) return true;
  }
  return false;
}

// Each one's future is rejected, which may make others due that stand here. What is no longer in
// its source's line stays: it has been settled on another thread, and its post is on its way (2).
void handler_queue::cancel_standing() noexcept {
  intrusive_list<reaction, handler_queue> coming;
  while (!standing_.is_empty()) {
    reaction& one = standing_.pop_front();
    if (one.source->leave(one)) {
      one.source->standing_handlers.fetch_sub(1, std::memory_order_relaxed);
      one.cancel();
    } else {
      coming.push_back(one);
    }
  }
  standing_.append(coming);
}

reaction::reaction(void* value, std::source_location place) noexcept : promise_core(value, place) {
  claim();
  post_node::run = [](post_node& node) noexcept {
    auto& self = static_cast<reaction&>(node);
    self.home_->arrive(self);
  };
}

void reaction::begin(handler_queue& at, core_handle from) noexcept {
  home_ = &at;
  source = from.release();
  keep();
  if (at.scope_.is_cancelled()) {
    if (!source->is_settled() || source->phase() == settled_as::fulfilled) return cancel();
    forget();
    const core_handle failed(std::exchange(source, nullptr));
    settle_rejected(failed->hear_failure());
    return drop();
  }
  at.standing_.push_back(*this);
  source->standing_handlers.fetch_add(1, std::memory_order_relaxed);
  if (source->listen(*this)) return;
  const bool is_alone = source->standing_handlers.fetch_sub(1, std::memory_order_relaxed) == 1;
  if (is_alone || !at.has_earlier(*this)) return at.make_due(*this);
  is_behind_ = true;
  ++at.behind_;
}

// On the thread that settled the source: the handler's loop lives, for (2).
void reaction::source_settled() noexcept {
  if (!home_) return promise_core::source_settled();  // the handler gave a future: follow it
  if (&home_->loop_ == loop::current()) {
    home_->arrive(*this);
  } else {
    home_->loop_.post_node(*this);
  }
}

void reaction::run() noexcept {
  home_ = nullptr;
  const core_handle from(std::exchange(source, nullptr));
  react(*from);
  drop();
}

void reaction::cancel() noexcept {
  home_ = nullptr;
  const core_handle from(std::exchange(source, nullptr));
  from->note_given_up();
  forget();
  settle_rejected(std::make_exception_ptr(
      exception(error(errc::cancelled, "the scope of a handler was cancelled before its turn"))));
  drop();
}

}  // namespace weir::detail
