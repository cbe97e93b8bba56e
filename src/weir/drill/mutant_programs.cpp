#include <weir/drill/mutant_programs.hpp>

#include <weir/base/defect.hpp>
#include <weir/base/log.hpp>
#include <weir/drill/internal/program_kit.hpp>
#include <weir/sim/explore.hpp>

#include <algorithm>
#include <ctime>
#include <string>
#include <string_view>

namespace weir::drill {

namespace {

constexpr runtime_mutant all_runtime_mutants[] = {
    // tasks
    {"core: a slot of the wheel fires as one", "timers fire up to 65 us early", &programs::timers},
    {"core: a slot is due when its first timer is", "a timer fires with a later one",
     &programs::timers},
    {"core: timers beyond one turn's share are forgotten",
     "of many timers due at once some fire late or never", &programs::crowd},
    {"core: a cancelled sleep sleeps on", "a time-out waits for the longest sleep",
     &programs::time_out},
    {"core: a cancellation does not reach scopes in scopes",
     "what runs in inner scopes is not cancelled", &programs::time_out},
    {"core: a cancellation passes a shield", "a commit is cut in half", &programs::commit},
    {"core: a shielded scope has no time-out", "a cleanup takes as long as its peer",
     &programs::good_bye},
    {"core: join() passes one task early", "a gathered result is incomplete", &programs::gathered},
    {"core: a scope keeps its first error only", "errors of other tasks are lost",
     &programs::heard},
    {"core: a task in join() holds up those who wait for room",
     "jobs that need each other wait for ever", &programs::room},
    {"core: a select waits for its last branch", "each select lasts as long as its time-out",
     &programs::selected_first},
    {"core: a cleanup that fails is the last one", "the other cleanups never run",
     &programs::released},
    // what tasks hand to each other
    {"core: a cancellation ends a task that has its result already",
     "an item that was handed over is lost", &programs::shifts},
    {"flow: a sender that goes ends the sends of all others", "items of others are lost",
     &programs::producers},
    {"flow: a channel has room for one item more", "a rendezvous is none", &programs::bounded},
    {"flow: a channel ends before it is empty", "queued items are lost at the end",
     &programs::stages},
    {"flow: senders in line are not told that the receivers have gone", "a producer waits for ever",
     &programs::nobody_listens},
    {"flow: a receiver of a broadcast isn't told what it missed", "gaps are not noticed",
     &programs::news},
    {"flow: a broadcast repeats an item", "a reader gets items twice and out of order",
     &programs::news},
    {"flow: the last change of a watch is lost at its end", "the last setting is not applied",
     &programs::last_setting},
    {"flow: a handler that comes after the result waits for it", "a handler never runs",
     &programs::handlers},
    {"flow: the handler that is due last runs first", "handlers run in the wrong order",
     &programs::handlers},
    // tasks that wait for each other
    {"flow: a mutex is open while it is handed over", "two tasks hold one lock",
     &programs::account},
    {"flow: a mutex goes to who came last", "who waits longest may wait for ever",
     &programs::account},
    {"flow: a guard that is given another lock forgets its own", "a lock is never let go",
     &programs::walk},
    {"flow: several permits that come back wake one task", "free permits are not given out",
     &programs::freed_places},
    {"flow: who leaves the line of a semaphore holds up those behind",
     "a time-out leaves others waiting for permits that are free", &programs::small_passes},
    {"flow: readers overtake a writer in line", "a writer starves", &programs::writer_turn},
    {"flow: an event wakes its first waiter only", "tasks miss the start", &programs::start_signal},
    {"flow: an auto_event that nobody waits for forgets that it was set",
     "work lies until more comes", &programs::no_work_left},
    {"flow: a cancelled arrival at a barrier counts", "a meeting begins without somebody",
     &programs::meeting},
    {"flow: a maker that failed leaves the others in line", "all others wait for ever",
     &programs::making_connection},
    // calls that may fail
    {"core: the deadlines of outer scopes are not looked at",
     "a retry waits for a moment that does not come", &programs::knows_deadline},
    {"flow: the price of tokens is rounded down", "a rate is exceeded a little, always",
     &programs::rate_kept},
    {"flow: who leaves the line of a rate limiter takes the timer along",
     "a time-out stops all who wait", &programs::rate_goes_on},
    {"flow: a half-open breaker lets one probe too many in", "a weak service gets more load",
     &programs::one_probe},
    {"flow: a breaker hears calls from before it turned", "old failures open a breaker again",
     &programs::late_failure},
    {"flow: a cancelled probe keeps its place", "a breaker never closes again",
     &programs::probe_leaves},
    {"flow: an outdated making ends the one that is new", "a database is asked twice at once",
     &programs::loaded_once},
    {"flow: a cache keeps a failure", "a short trouble lasts for ever", &programs::asks_again},
    {"flow: a cancelled maker leaves those who share it waiting", "readers wait for ever",
     &programs::maker_leaves},
    {"flow: a value that was erased while it was made is kept", "an old value is read for ever",
     &programs::outdated},
    {"flow: a call that gave up waiting still counts", "a line is full that nobody stands in",
     &programs::line_room},
    {"flow: a retry does not wait as long as it was asked to", "a busy service is hammered",
     &programs::waits_as_asked},
    // bytes
    {"io: a delimiter across two pieces is overlooked", "two requests are taken for one",
     &programs::heads},
    {"io: a send that was taken in part counts as done", "the rest is never sent",
     &programs::heads},
    {"io: what was done when it was cancelled counts as undone", "bytes that have arrived are lost",
     &programs::stop_drains},
    {"core: a select drops what a second branch has done", "bytes that have arrived are lost",
     &programs::stop_drains},
    {"io: the rest of a batch is sent from its beginning", "datagrams are doubled and missing",
     &programs::batch},
    {"io: a cancelled pipe drops what it has read", "a stream has a hole", &programs::proxy},
    {"io: what a copy has read and not sent is dropped", "the next request is lost",
     &programs::body_ends},
    {"io: the rest of a frame that was cut is forgotten", "all later frames are garbage",
     &programs::frames},
    {"io: what a cancelled flush has sent is sent again", "frames are repeated in part",
     &programs::frames},
    {"wire: a frame is whole when one byte follows", "a question waits for the next one",
     &programs::answered},
};

class explored_body final : public explored_program {
 public:
  explicit explored_body(const mutant_program& of) : of_(of) {}
  WEIR_CORO_WRAPPER task<> body() override { return of_.body(); }

 private:
  const mutant_program& of_;
};

/// No log while it lives: breakers open and close a thousand times.
class silenced_log {
 public:
  silenced_log() noexcept
      : before_(log::set_sink({.write = [](void*, log::level, std::string_view) noexcept {}})) {}
  silenced_log(const silenced_log&) = delete;
  silenced_log& operator=(const silenced_log&) = delete;
  ~silenced_log() { log::set_sink(before_); }

 private:
  log::sink before_;
};

duration processor_time() noexcept {
  timespec used{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return duration::seconds(used.tv_sec) + duration(used.tv_nsec);
}

// The line that says what was broken: those before it count errors, those after it say where.
std::string cause_of(std::string_view text) {
  std::string_view line;
  do {
    const std::size_t end = std::min(text.find('\n'), text.size());
    line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
  } while (!text.empty() && (line.ends_with(" error:") || line.ends_with(" errors:")));
  const std::size_t mark = line.find("] ");  // "  [1] internal: what [file:line]"
  if (line.starts_with(' ') && mark != std::string_view::npos) line.remove_prefix(mark + 2);
  line = line.substr(0, line.find(" ["));
  constexpr std::string_view expected = "internal: ";  // internal/program_kit.hpp
  if (!line.starts_with(expected)) return std::string(line);
  return "expected: " + std::string(line.substr(expected.size()));
}

}  // namespace

std::span<const runtime_mutant> runtime_mutants() { return all_runtime_mutants; }

mutant_verdict try_program(const mutant_program& one, const mutant_budget& budget,
                           try_listener* listener) {
  constexpr std::uint64_t steps_max = 200'000;  // a hundred times what the longest of them takes
  const silenced_log quiet;
  explored_body program(one);
  explorer with(program, {});
  with.limit_steps(steps_max);
  mutant_verdict verdict;
  const duration began = processor_time();
  while (verdict.tries < budget.tries_max && verdict.cpu < budget.cpu_max && !verdict.is_killed) {
    if (listener) listener->trying(verdict.tries + 1);
    run_name which;
    if (const std::uint64_t n = verdict.tries++) which = {.how = portfolio(n), .seed = n};
    const virtual_outcome& outcome = with.run(which);
    if (outcome.is_failed) {
      verdict.is_killed = true;
      verdict.by = cause_of(outcome.failure);
    }
    verdict.cpu = processor_time() - began;
  }
  return verdict;
}

mutant_verdict try_runtime_mutant(const runtime_mutant& one, const mutant_budget& budget,
                                  try_listener* listener) {
  const planted_defect planted(one.defect);
  return try_program(*one.killed_by, budget, listener);
}

}  // namespace weir::drill
