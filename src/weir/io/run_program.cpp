#include <weir/io/run_program.hpp>

#include <weir/base/cores_allowed.hpp>
#include <weir/base/error.hpp>
#include <weir/base/standard_error.hpp>
#include <weir/base/text.hpp>
#include <weir/core/core_group.hpp>
#include <weir/core/error_group.hpp>
#include <weir/core/string_sink.hpp>
#include <weir/core/unhandled.hpp>
#include <weir/io/crash_dump.hpp>
#include <weir/io/make_driver.hpp>
#include <weir/io/signals.hpp>

#include <fmt/format.h>
#include <signal.h>

#include <atomic>
#include <cerrno>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace weir {

namespace {

// Hears one signal without being a task, so that it doesn't keep the loop alive.
class stop_signal {
 public:
  using function = void (*)(void* context, const char* name) noexcept;

  stop_signal(driver& io, int number, const char* name, function stop, void* context) noexcept
      : io_(io), name_(name), stop_(stop), context_(context), request_{*this} {
    request_.op = io_op::wait_signal;
    request_.flags = static_cast<std::uint32_t>(number);
    request_.on_complete = [](io_request& r) noexcept { static_cast<heard&>(r).owner.hear(); };
    is_pending_ = true;
    if (io_.submit(request_)) hear();
  }
  stop_signal(const stop_signal&) = delete;
  stop_signal& operator=(const stop_signal&) = delete;
  ~stop_signal() {
    if (!is_pending_) return;
    io_.cancel(request_);
    while (is_pending_) io_.wait(io_.now());
  }

 private:
  struct heard : io_request {
    explicit heard(stop_signal& of) noexcept : owner(of) {}
    stop_signal& owner;
  };
  void hear() noexcept {
    is_pending_ = false;
    if (request_.outcome >= 0) stop_(context_, name_);
  }

  driver& io_;
  const char* name_;
  function stop_;
  void* context_;
  heard request_;
  bool is_pending_ = false;
};

// SIGTERM and SIGINT, if they are wanted and the program was not started to ignore them.
class stop_signals {
 public:
  stop_signals(bool wanted, driver& io, stop_signal::function stop, void* context) {
    if (!wanted) return;
    second_kills_.emplace();
    if (!is_signal_ignored(SIGTERM))
      terminate_ = std::make_unique<stop_signal>(io, SIGTERM, "SIGTERM", stop, context);
    if (!is_signal_ignored(SIGINT))
      interrupt_ = std::make_unique<stop_signal>(io, SIGINT, "SIGINT", stop, context);
  }

 private:
  std::optional<second_signal_kills> second_kills_;
  std::unique_ptr<stop_signal> terminate_;
  std::unique_ptr<stop_signal> interrupt_;
};

// Without a driver there is no program: not a bug, but something to put right on this machine.
constexpr int exit_without_driver = 2;

std::unique_ptr<driver> driver_or_complaint(const driver_options& options) {
  try {
    return make_driver(options);
  } catch (const exception& e) {
    const std::string line = fmt::format("weir: {}\n", describe(e.reason()));
    write_standard_error(line.data(), line.size());
    return nullptr;
  }
}

task<int> without_result(task<> main) {
  co_await std::move(main);
  co_return 0;
}

}  // namespace

int run(task<int> main, run_options options) {
  const detail::crash_dump dumps(options.dump_on_crash);
  const std::unique_ptr<driver> io = driver_or_complaint(options.io);
  if (!io) return exit_without_driver;
  loop on(*io, options.loop);
  const detail::dumped_loop known(on);
  const stop_signals signals(
      options.stop_on_signals, *io,
      [](void* root, const char* name) noexcept {
        static_cast<scope*>(root)->cancel({.kind = cancel_kind::shutdown, .text = name});
      },
      &on.root());
  spawned<int> handle = on.root().spawn(detail::given_task<int>{std::move(main)});
  on.run();
  if (handle.has_value()) return handle.take_value();
  return on.root().reason().kind == cancel_kind::shutdown ? 0 : 1;
}

int run(task<> main, run_options options) { return run(without_result(std::move(main)), options); }

namespace detail {

namespace {

// The loops of all cores, to be stopped together.
class stoppable_cores {
 public:
  stoppable_cores(unsigned count, std::size_t calls_max)
      : calls(count, {.calls_max = calls_max}), cores_(count) {
    failures_.reserve(std::size_t{2} *
                      count);  // each core may fail inside of its loop, and beside it
  }

  core_group calls;

  // A core's loop exists from enter to leave (see core_stay): in between it can be told to stop.
  void enter(unsigned index, loop& on) noexcept {
    const std::lock_guard guard(lock_);
    cores_[index].on = &on;
    if (reason_) tell(cores_[index]);
  }
  void leave(unsigned index) noexcept {
    const std::lock_guard guard(lock_);
    cores_[index].on = nullptr;
  }
  // Cancels the root of every core. The first reason stays.
  void stop(const char* reason) noexcept {
    const std::lock_guard guard(lock_);
    stop_all(reason);
  }
  void fail(std::exception_ptr failure) noexcept {
    const std::lock_guard guard(lock_);
    if (failures_.size() < failures_.capacity()) failures_.push_back(std::move(failure));
    stop_all("another core has failed");
  }
  void stop_without_driver() noexcept {
    is_without_driver_ = true;
    stop("another core has no driver");
  }
  bool is_without_driver() const noexcept { return is_without_driver_; }
  // In the order in which they happened, when all threads have ended; null when there is none.
  std::exception_ptr failure() const noexcept {
    if (failures_.empty()) return nullptr;
    if (failures_.size() == 1) return failures_.front();
    try {
      return std::make_exception_ptr(
          error_group::of(failures_.data(), failures_.size(), "the cores"));
    } catch (const std::bad_alloc&) {
      return failures_.front();
    }
  }

 private:
  struct core : post_node {
    stoppable_cores* of = nullptr;
    loop* on = nullptr;
    loop* told = nullptr;  // stays: the loop's end runs what was posted to it
    const char* reason = nullptr;
  };
  void stop_all(const char* reason) noexcept {
    if (reason_) return;
    reason_ = reason;
    for (core& one : cores_) tell(one);
  }
  void tell(core& one) noexcept {
    if (!one.on) return;
    one.of = this;
    one.reason = reason_;
    one.told = one.on;
    one.run = [](post_node& node) noexcept {
      auto& self = static_cast<core&>(node);
      // Each core is told before one reacts: a call that is cut off by the stop finds its caller
      // cancelled, too, and is no error there.
      {
        const std::lock_guard after_all_are_told(self.of->lock_);
      }
      self.told->root().cancel({.kind = cancel_kind::shutdown, .text = self.reason});
    };
    one.on->post_node(one);
  }

  std::mutex lock_;
  std::vector<core> cores_;
  const char* reason_ = nullptr;
  std::vector<std::exception_ptr> failures_;
  std::atomic<bool> is_without_driver_{false};
};

class core_stay {
 public:
  core_stay(stoppable_cores& group, unsigned index, loop& on) noexcept
      : group_(group), index_(index) {
    group_.enter(index_, on);
  }
  core_stay(const core_stay&) = delete;
  core_stay& operator=(const core_stay&) = delete;
  ~core_stay() { group_.leave(index_); }

 private:
  stoppable_cores& group_;
  const unsigned index_;
};

task<> start_core(core_program& program) { co_await program.start(); }

// core_group::run makes a group of what fails inside, with the traces that a later report prints.
task<> run_core(unsigned index, core_program& program, stoppable_cores& group) {
  try {
    co_await group.calls.run(index, start_core(program));
  } catch (const std::exception&) {
    group.fail(std::current_exception());
  }
}

void run_core_on(unsigned index, core_program& program, stoppable_cores& group,
                 const run_options& options, std::unique_ptr<driver> io) {
  if (!io) io = driver_or_complaint(options.io);
  if (!io) return group.stop_without_driver();
  const std::string name = fmt::format("core {}", index);
  loop_options on_options = options.loop;
  on_options.name = name.c_str();
  loop on(*io, on_options);
  const dumped_loop known(on);
  const stop_signals signals(
      options.stop_on_signals && index == 0, *io,
      [](void* all, const char* signal) noexcept {
        static_cast<stoppable_cores*>(all)->stop(signal);
      },
      &group);
  const core_stay here(group, index, on);
  on.root().spawn([&]() -> task<> { co_await run_core(index, program, group); });
  on.run();
}

// Errors before there is a loop, such as no descriptor left for its driver, stop the others too.
void run_core_or_fail(unsigned index, core_program& program, stoppable_cores& group,
                      const run_options& options, std::unique_ptr<driver> io) noexcept {
  try {
    run_core_on(index, program, group, options, std::move(io));
  } catch (const std::exception&) {
    group.fail(std::current_exception());
  }
  group.calls.close(index);  // also when it never ran
}

}  // namespace

int run_cores(core_program& program, run_options options) {
  options.io.shares_ports = true;
  // Made before there are threads: what keeps the first core from having one is said once.
  std::unique_ptr<driver> first = driver_or_complaint(options.io);
  if (!first) return exit_without_driver;
  const crash_dump dumps(options.dump_on_crash);
  const unsigned count = options.cores != 0 ? options.cores : cores_allowed();
  stoppable_cores group(count, options.calls_max);
  std::vector<std::thread> threads;
  for (unsigned i = 1; i < count; ++i) {
    try {
      threads.emplace_back([&, i] { run_core_or_fail(i, program, group, options, nullptr); });
    } catch (const std::exception&) {  // no more threads, or no memory for one
      group.fail(std::current_exception());
      for (; i < count; ++i) group.calls.close(i);
    }
  }
  run_core_or_fail(0, program, group, options, std::move(first));
  for (std::thread& one : threads) one.join();
  const std::exception_ptr failure = group.failure();
  if (!failure) return group.is_without_driver() ? exit_without_driver : 0;
  string_sink description;
  describe_exception(failure, description);
  report_unhandled({.text = description.text.c_str(), .what = failure, .is_report = false});
  return 1;
}

}  // namespace detail

}  // namespace weir
