#include <weir/pool/detail/job_frame.hpp>

#include <weir/base/assert.hpp>
#include <weir/core/error_group.hpp>
#include <weir/core/error_trace.hpp>
#include <weir/pool/internal/pool_core.hpp>

#include <algorithm>
#include <new>
#include <vector>

namespace weir::detail {

constinit thread_local pool_worker* this_worker = nullptr;

void show_offers(pool_worker& of) noexcept {
  of.offers->show_all();
  of.core->wake_one();
}

bool is_stopped_around(const job_frame& of) noexcept {
  for (const job_frame* at = &of;;) {
    switch (at->role()) {
      case job_role::called:
        at = at->caller;
        break;
      case job_role::forked:
        if (at->fork->is_cancelled()) return true;
        at = at->fork->parent;
        break;
      case job_role::root:
        return at->work->is_cancelled.load(std::memory_order_relaxed);
      case job_role::fresh:
        return false;
    }
  }
}

namespace {

// All of a fork's jobs have ended, and nobody else has to do with it any more.
void leave_fork(fork_point& fork) noexcept {
  if (fork.is_cancelled()) this_worker->core->forget_cancelled();
}

// The fork hears how one of its jobs ended.
void note_end(fork_point& fork, job_frame& ended) noexcept {
  if (ended.was_stopped()) fork.trouble.fetch_or(fork_point::stopped, std::memory_order_relaxed);
  if (!ended.has_failed()) return;
  ended.failure_order = fork.trouble.fetch_add(fork_point::one_failure, std::memory_order_relaxed) /
                        fork_point::one_failure;
  const std::uint32_t before =
      fork.trouble.fetch_or(fork_point::cancelled, std::memory_order_relaxed);
  if ((before & fork_point::cancelled) == 0) this_worker->core->note_cancelled();
}

enum class after { others, job, joined };

// What the strand that ended `ended` does with its fork; `next` is the job to run.
after leave_job(fork_point& fork, job_frame& ended, job_frame*& next) noexcept {
  if (ended.was_taken()) {
    return fork.left.end_taken() ? after::joined : after::others;
  }
  if (--fork.unfinished == 0) return after::joined;
  next = ended.was_refused() && ended.next ? ended.next : take_back(*this_worker, fork);
  if (next) return after::job;
  return fork.left.arrive(fork.unfinished) ? after::joined : after::others;
}

// Errors go before a cancellation from above, which is met again at the next await.
bool must_stop(const fork_point& fork) noexcept { return !fork.has_failed() && fork.has_stopped(); }

}  // namespace

std::coroutine_handle<> go_on_after(job_frame& ended) noexcept {
  for (job_frame* at = &ended;;) {
    if (at->role() == job_role::root) {
      at->work->core.end(*at->work);
      return std::noop_coroutine();
    }
    if (at->role() == job_role::called) {
      if (!at->was_stopped()) return handle_of(at->caller);
      at = at->caller;
      at->stop();
      continue;
    }
    fork_point& fork = *at->fork;
    note_end(fork, *at);
    job_frame* next = nullptr;
    switch (leave_job(fork, *at, next)) {
      case after::others:
        return std::noop_coroutine();
      case after::job:
        if (!is_stopped_around(*next)) return handle_of(next);
        next->stop();  // before it has begun
        at = next;
        break;
      case after::joined:
        leave_fork(fork);
        if (!must_stop(fork)) return handle_of(fork.parent);
        at = fork.parent;
        at->stop();
        break;
    }
  }
}

bool heed_alarm(pool_worker& on, job_frame& parent, fork_point* fork,
                std::coroutine_handle<>& next) noexcept {
  if (is_stopped_around(parent)) {
    parent.stop();
    next = go_on_after(parent);
    return true;
  }
  if (!fork || on.offers->room() < fork->unfinished || !on.core->gives_way(on)) return false;
  for (job_frame* one = fork->newest; one; one = one->next) on.offers->offer(one);
  show_offers(on);
  // This strand has run none of them, and comes to the join at once.
  next = std::noop_coroutine();
  if (fork->left.arrive(fork->unfinished)) {
    leave_fork(*fork);
    next = handle_of(&parent);
    if (must_stop(*fork)) {
      parent.stop();
      next = go_on_after(parent);
    }
  }
  return true;
}

namespace {

void add_error(error_list& to, const std::exception_ptr& failure) noexcept {
  to.add({.what = failure, .spawned_at = {}, .scope = "fork"});
}

// The errors of a group become members of their own.
void add_flat(error_list& to, const std::exception_ptr& failure) noexcept {
  try {
    std::rethrow_exception(failure);
  } catch (const error_group& several) {
    for (std::size_t i = 0; i < several.size(); ++i) add_error(to, several[i]);
    to.dropped += several.dropped();
  } catch (...) {
    add_error(to, failure);
  }
}

}  // namespace

void fork_point::raise() {
  std::vector<job_frame*> failed;
  for (job_frame* one = newest; one; one = one->next) {
    if (one->has_failed()) failed.push_back(one);
  }
  std::sort(failed.begin(), failed.end(), [](const job_frame* a, const job_frame* b) {
    return a->failure_order < b->failure_order;
  });
  error_list* list = make_error_list();
  if (!list) throw std::bad_alloc();
  const error_group group(list);
  for (job_frame* one : failed) (flattens ? add_flat : add_error)(*list, one->failure);
  throw error_group(group);
}

}  // namespace weir::detail
