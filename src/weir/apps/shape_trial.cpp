#include <weir/apps/shape_trial.hpp>

#include <weir/apps/latency_list.hpp>
#include <weir/core/scope.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/io/run_program.hpp>
#include <weir/pool/pool.hpp>

#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <latch>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace weir {

namespace {

constexpr std::int64_t waits_counted_min = 3;
constexpr duration task_start = duration::microseconds(1);  // the callers' start, each, at most

std::int64_t read_clock(clockid_t which) noexcept {
  timespec t{};
  ::clock_gettime(which, &t);
  return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

time_point clock() noexcept { return time_point(read_clock(CLOCK_MONOTONIC)); }

/// Blocks the thread; the kernel's timers are exact, since apply_limits() has asked for that.
void wait_plainly(duration length) noexcept {
  if (length <= duration()) return;
  timespec left{length.ns / 1'000'000'000, length.ns % 1'000'000'000};
  while (::nanosleep(&left, &left) != 0) {
  }
}

/// Each round needs the one before it: the time is that of the arithmetic, and no memory's.
void compute(std::uint64_t rounds) noexcept {
  std::uint64_t state = rounds | 1;
  for (std::uint64_t i = 0; i < rounds; ++i) state = (state ^ (state >> 29)) * 0x9e3779b97f4a7c15u;
  asm volatile("" : : "r"(state));
}

std::uint64_t rounds_of(const shape_trial& plan) noexcept {
  return static_cast<std::uint64_t>(static_cast<double>(plan.load.cpu.ns) * plan.rounds_per_ns);
}

/// Memory that a request holds, in use.
std::string held_memory(const workload& load) { return std::string(load.bytes, 'x'); }

struct trial_moments {
  time_point start;  // of the first callers
  time_point begin;  // from here on it counts
  time_point end;    // nothing is begun any more
  time_point last;   // what has not ended now is left
  duration spread;   // the callers start one after the other, over one request's time

  trial_moments() = default;
  trial_moments(const shape_trial& plan, time_point at)
      : start(at), spread(plan.load.wait + plan.load.cpu) {
    const duration phase = counted_time(plan);
    begin = start + std::max(spread * 2, phase / 4);
    end = begin + phase;
    last = end + phase;
  }
  time_point start_of(std::uint32_t caller, std::uint32_t of) const noexcept {
    return start + spread / of * caller;
  }
};

/// What the callers of one thread have seen; on cache lines of its own.
struct alignas(64) caller_book {
  latency_list latencies;       // of requests that were begun while it counts
  std::uint64_t begun = 0;      // of these
  std::uint64_t ended_now = 0;  // requests that ended while it counts
  std::uint64_t ended = 0;      // at all

  void begin(const trial_moments& at, time_point now) noexcept {
    if (now >= at.begin && now < at.end) ++begun;
  }
  void end(const trial_moments& at, time_point begun_at, time_point now) {
    ++ended;
    if (now >= at.begin && now < at.end) ++ended_now;
    const bool counts = begun_at >= at.begin && begun_at < at.end;
    if (counts && now <= at.last) latencies.add(now - begun_at);
  }
  void add(const caller_book& other) {
    latencies.add(other.latencies);
    begun += other.begun;
    ended_now += other.ended_now;
    ended += other.ended;
  }
};

/// Memory of this process that no file stands behind; 0 where the kernel does not tell. The short
/// counts of /proc/self/statm leave out what each thread has yet to report.
std::uint64_t anonymous_bytes() noexcept {
  std::FILE* file = std::fopen("/proc/self/smaps_rollup", "re");
  if (!file) return 0;
  char line[256];
  std::uint64_t kib = 0;
  while (std::fgets(line, sizeof line, file)) {
    if (std::sscanf(line, "Anonymous: %lu kB", &kib) == 1) break;
  }
  std::fclose(file);
  return kib * 1024;
}

/// Looks from a thread of its own at the memory of the process: before there are callers, and when
/// all of them have asked.
class memory_sampler {
 public:
  memory_sampler() : thread_([this] { watch(); }) { ready_.wait(); }
  memory_sampler(const memory_sampler&) = delete;
  memory_sampler& operator=(const memory_sampler&) = delete;
  ~memory_sampler() {
    begin({});
    let_go();
  }

  /// The moments are known, and callers will come. The first ones stay.
  void begin(const trial_moments& at) noexcept {
    if (is_begun_) return;
    is_begun_ = true;
    at_ = at;
    known_.count_down();
  }
  /// What the callers have added, once it was begun and has looked.
  std::uint64_t end() noexcept {
    let_go();
    thread_.join();
    return with_callers_ - std::min(alone_, with_callers_);
  }
  /// What looking has cost up to now; until end().
  std::int64_t cpu_ns() noexcept {
    clockid_t of_thread{};
    ::pthread_getcpuclockid(thread_.native_handle(), &of_thread);
    return read_clock(of_thread);
  }

 private:
  void watch() noexcept {
    anonymous_bytes();  // what reading it needs is no cost of the callers
    alone_ = anonymous_bytes();
    ready_.count_down();
    known_.wait();
    wait_plainly(at_.start + at_.spread - clock());
    with_callers_ = anonymous_bytes();
    over_.wait();  // a thread that has ended has no clock
  }
  void let_go() noexcept {
    if (!std::exchange(is_let_go_, true)) over_.count_down();
  }

  trial_moments at_;
  bool is_begun_ = false;
  bool is_let_go_ = false;
  std::uint64_t alone_ = 0;
  std::uint64_t with_callers_ = 0;
  std::latch ready_{1};
  std::latch known_{1};
  std::latch over_{1};
  std::jthread thread_;
};

struct process_costs {
  std::int64_t cpu_ns = 0;
  std::int64_t switches = 0;
  std::int64_t looking_ns = 0;  // of cpu_ns the sampler's: its look may come after the callers

  static process_costs now(memory_sampler& memory) noexcept {
    rusage used{};
    ::getrusage(RUSAGE_SELF, &used);
    const std::int64_t cpu_ns = read_clock(CLOCK_PROCESS_CPUTIME_ID);
    return {cpu_ns, used.ru_nvcsw + used.ru_nivcsw, memory.cpu_ns()};
  }
};

/// The latency that `share` of all that were begun did not exceed. Those that have not ended took
/// longer than `least`; nothing above it is known for sure when there are any.
latency_figure percentile(const caller_book& book, double share, duration least) {
  const auto rank = std::ceil(share * static_cast<double>(book.begun));
  const auto ended = static_cast<double>(book.latencies.count());
  if (rank > ended) return {least, true};
  const duration value = book.latencies.percentile(ended > 0 ? rank / ended : 0);
  if (book.latencies.count() < book.begun && value > least) return {least, true};
  return {value, false};
}

/// `before` is from when the callers came; now all have ended.
shape_figures figures_of(program_shape shape, const shape_trial& plan, const caller_book& book,
                         const process_costs& before, memory_sampler& memory) {
  const std::int64_t looking_ns = memory.cpu_ns() - before.looking_ns;  // first: it may still look
  const process_costs after = process_costs::now(memory);
  const duration phase = counted_time(plan);
  shape_figures out{.shape = shape, .concurrency = plan.load.concurrency};
  out.per_second = static_cast<double>(book.ended_now) * 1e9 / static_cast<double>(phase.ns);
  out.p50 = percentile(book, 0.5, phase);
  out.p99 = percentile(book, 0.99, phase);
  out.memory_bytes = memory.end();
  const std::int64_t cpu_ns = after.cpu_ns - before.cpu_ns - looking_ns;
  const auto all = static_cast<double>(std::max<std::uint64_t>(book.ended, 1));
  out.cpu_ns = static_cast<double>(cpu_ns) / all;
  out.switches = static_cast<double>(after.switches - before.switches) / all;
  out.busy = std::clamp(out.cpu_ns * out.per_second / 1e9 / plan.load.cores, 0.0, 1.0);
  return out;
}

// --- plain code -------------------------------------------------------------------------------

/// One thread; the callers stand in line for it.
shape_figures run_plain(const shape_trial& plan) {
  const std::uint32_t callers = plan.load.concurrency;
  const std::uint64_t rounds = rounds_of(plan);
  memory_sampler memory;
  const std::string held = held_memory(plan.load);
  const process_costs before = process_costs::now(memory);
  const trial_moments at(plan, clock());
  memory.begin(at);
  std::vector<time_point> line(callers);  // a ring: when each of them has asked, the oldest first
  for (std::uint32_t i = 0; i < callers; ++i) line[i] = at.start_of(i, callers);
  caller_book book;
  std::size_t left = callers;
  for (std::size_t first = 0; left > 0; first = (first + 1) % callers) {
    const time_point asked = line[first];
    wait_plainly(asked - clock());
    wait_plainly(plan.load.wait);
    compute(rounds);
    const time_point now = clock();
    book.end(at, asked, now);
    if (now >= at.last) break;
    line[first] = now;
    if (now < at.end) {
      book.begin(at, now);
    } else {
      --left;  // it asks no more; the line gets shorter by the oldest each time
    }
  }
  asm volatile("" : : "r"(held.data()) : "memory");
  return figures_of(program_shape::plain, plan, book, before, memory);
}

// --- a thread for each request ----------------------------------------------------------------

struct thread_callers {
  const shape_trial& plan;
  std::uint32_t count;
  trial_moments at = {};
  bool is_given_up = false;
  std::latch known{1};  // `at`, or that it is given up
};

void call_on_thread(const thread_callers& all, std::uint32_t caller, caller_book& book) {
  const std::string held = held_memory(all.plan.load);
  const std::uint64_t rounds = rounds_of(all.plan);
  all.known.wait();
  if (all.is_given_up) return;
  wait_plainly(all.at.start_of(caller, all.count) - clock());
  for (time_point asked = clock(); asked < all.at.end; asked = clock()) {
    book.begin(all.at, asked);
    wait_plainly(all.plan.load.wait);
    if (clock() >= all.at.last) return;
    compute(rounds);
    book.end(all.at, asked, clock());
  }
  asm volatile("" : : "r"(held.data()) : "memory");
}

/// Starts `count` threads; false when the system has not so many. `started` says how many it had.
bool start_threads(thread_callers& all, std::vector<caller_book>& books,
                   std::vector<std::jthread>& threads) {
  try {
    for (std::uint32_t i = 0; i < all.count; ++i) {
      threads.emplace_back([&all, &books, i] { call_on_thread(all, i, books[i]); });
    }
  } catch (const std::exception&) {  // no thread, or no memory for one
    return false;
  }
  return true;
}

/// Nothing when they could not be started.
std::optional<shape_figures> try_threads(const shape_trial& plan, std::uint32_t count,
                                         std::uint32_t& started) {
  memory_sampler memory;
  thread_callers all{.plan = plan, .count = count};
  std::vector<caller_book> books(count);
  std::vector<std::jthread> threads;
  threads.reserve(count);
  all.is_given_up = !start_threads(all, books, threads);
  started = static_cast<std::uint32_t>(threads.size());
  const process_costs before = process_costs::now(memory);
  all.at = trial_moments(plan, clock());
  if (!all.is_given_up) memory.begin(all.at);
  all.known.count_down();
  threads.clear();  // joins them
  if (all.is_given_up) return std::nullopt;
  caller_book sum;
  for (const caller_book& one : books) sum.add(one);
  return figures_of(program_shape::threads, plan, sum, before, memory);
}

shape_figures run_threads(const shape_trial& plan) {
  std::uint32_t count = std::min(plan.load.concurrency, shape_trial::threads_max);
  std::optional<shape_figures> out;
  while (!out && count > 0) {
    std::uint32_t started = 0;
    out = try_threads(plan, count, started);
    count = out ? count : started / 2;  // the system keeps some for others
  }
  if (!out) return {.shape = program_shape::threads, .gap = shape_gap::failed};
  out->concurrency = count;
  if (count < plan.load.concurrency) out->gap = shape_gap::too_many_threads;
  return *out;
}

// --- tasks ------------------------------------------------------------------------------------

struct task_callers {
  const shape_trial& plan;
  const trial_moments& at;
  std::vector<caller_book>& books;  // one for each loop
  memory_sampler& memory;
  pool* computing;            // null: on the loop
  process_costs before = {};  // set by the first caller: the loops and their drivers run
  std::atomic<std::uint32_t> loops{0};
};

task<> call_in_task(task_callers* all, caller_book* book, std::uint32_t caller) {
  const std::string held = held_memory(all->plan.load);
  const std::uint64_t rounds = rounds_of(all->plan);
  const trial_moments& at = all->at;
  co_await sleep(at.start_of(caller, all->plan.load.concurrency) - clock());
  if (caller == 0) all->before = process_costs::now(all->memory);
  for (time_point asked = clock(); asked < at.end; asked = clock()) {
    book->begin(at, asked);
    if (all->plan.load.wait > duration()) {
      co_await sleep(all->plan.load.wait);
    } else {
      co_await yield();
    }
    if (clock() >= at.last) co_return;
    if (all->computing) {
      co_await all->computing->run([&at, rounds] {
        if (clock() < at.last) compute(rounds);
      });
    } else {
      compute(rounds);
    }
    book->end(at, asked, clock());
  }
  asm volatile("" : : "r"(held.data()) : "memory");
}

/// Every loop takes its share of the callers.
task<> call_on_loop(task_callers* all) {
  const std::uint32_t loop_number = all->loops.fetch_add(1);
  const auto loop_count = static_cast<std::uint32_t>(all->books.size());
  co_await with_scope({.name = "callers"}, [&](scope& s) -> task<> {
    for (std::uint32_t i = loop_number; i < all->plan.load.concurrency; i += loop_count) {
      s.spawn(call_in_task, all, &all->books[loop_number], i);
    }
    co_return;
  });
}

shape_figures run_tasks(program_shape shape, const shape_trial& plan) {
  const unsigned loops = shape == program_shape::loops ? plan.load.cores : 1;
  memory_sampler memory;
  std::optional<pool> computing;
  if (shape == program_shape::tasks_and_pool) {
    computing.emplace(pool_options{.threads = plan.load.cores, .calls_max = plan.load.concurrency});
  }
  const trial_moments at(plan,
                         clock() + duration::milliseconds(20) + task_start * plan.load.concurrency);
  memory.begin(at);
  std::vector<caller_book> books(loops);
  task_callers all{.plan = plan,
                   .at = at,
                   .books = books,
                   .memory = memory,
                   .computing = computing ? &*computing : nullptr};
  const run_options options{.stop_on_signals = false, .cores = loops};
  if (run_on_all_cores(options, call_on_loop, &all) != 0) {
    return {.shape = shape, .gap = shape_gap::no_driver};
  }
  caller_book sum;
  for (const caller_book& one : books) sum.add(one);
  return figures_of(shape, plan, sum, all.before, memory);
}

/// The first of the processors that this process may use, and timers that are not batched: what
/// stands for I/O must not come late because nobody cares about 50 us.
void apply_limits(unsigned cores) noexcept {
  ::prctl(PR_SET_TIMERSLACK, 1);
  cpu_set_t allowed;
  if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  cpu_set_t chosen;
  CPU_ZERO(&chosen);
  for (std::size_t i = 0; i < CPU_SETSIZE && cores > 0; ++i) {
    if (!CPU_ISSET(i, &allowed)) continue;
    CPU_SET(i, &chosen);
    --cores;
  }
  ::sched_setaffinity(0, sizeof chosen, &chosen);
}

}  // namespace

double calibrate_computing() {
  constexpr std::uint64_t rounds = 200'000;
  constexpr int tries = 20;
  std::int64_t best = INT64_MAX;
  for (int i = 0; i < tries; ++i) {  // the shortest is the one that nobody has disturbed
    const std::int64_t before = read_clock(CLOCK_THREAD_CPUTIME_ID);
    compute(rounds);
    best = std::min(best, read_clock(CLOCK_THREAD_CPUTIME_ID) - before);
  }
  return static_cast<double>(rounds) / static_cast<double>(std::max<std::int64_t>(best, 1));
}

duration counted_time(const shape_trial& plan) noexcept {
  return std::max(plan.phase, (plan.load.wait + plan.load.cpu) * waits_counted_min);
}

shape_figures run_shape_trial(program_shape shape, const shape_trial& plan) {
  const bool is_one_core = plan.load.cores == 1;
  if (shape == program_shape::loops && is_one_core) {
    return {.shape = shape, .gap = shape_gap::one_core};
  }
  if (shape == program_shape::tasks_and_pool && plan.load.cpu <= duration()) {
    return {.shape = shape, .gap = shape_gap::nothing_to_compute};
  }
  apply_limits(plan.load.cores);
  switch (shape) {
    case program_shape::plain:
      return run_plain(plan);
    case program_shape::threads:
      return run_threads(plan);
    default:
      return run_tasks(shape, plan);
  }
}

}  // namespace weir
