// A program's main: `int main() { return weir::run(serve()); }`, or on every core. Chooses the
// driver, hears SIGTERM and SIGINT, prints the task tree when the program crashes.
#pragma once

#include <weir/core/run.hpp>
#include <weir/io/driver_options.hpp>

#include <tuple>
#include <type_traits>
#include <utility>

namespace weir {

struct run_options {
  driver_options io = {};
  loop_options loop = {};
  // SIGTERM and SIGINT cancel everything (shutdown), unless the program was started to ignore them;
  // a second one kills, also while a task holds the loop.
  bool stop_on_signals = true;
  bool dump_on_crash = true;  // SIGQUIT prints the task tree; so do crashes and failed assertions
  unsigned cores = 0;         // run_on_all_cores: 0 is all that this process may use
  std::size_t calls_max = 4096;  // run_on_all_cores: core_group_options::calls_max
};

/// Runs `main` to its end and gives its value as exit code. Stopped by a signal: 0. An error that
/// leaves it goes to the unhandled-error handler, which ends the process; if it is replaced by one
/// that returns: 1. Without a driver (an unknown WEIR_DRIVER, no descriptor left) a line on
/// standard error says why: 2.
int run(task<int> main, run_options options = {});
/// The same for a program without a result of its own: 0.
int run(task<> main, run_options options = {});

namespace detail {

/// Makes the main task of one core.
class core_program {
 public:
  virtual ~core_program() = default;
  virtual task<> start() = 0;
};

template <class F, class... A>
class core_function final : public core_program {
 public:
  explicit core_function(F f, A... args)
      : function_(std::move(f)), arguments_(std::move(args)...) {}
  WEIR_CORO_WRAPPER task<> start() override { return call(std::index_sequence_for<A...>{}); }

 private:
  template <std::size_t... Index>
  WEIR_CORO_WRAPPER task<> call(std::index_sequence<Index...>) {
    return function_(std::get<Index>(arguments_)...);
  }
  F function_;
  std::tuple<A...> arguments_;
};

int run_cores(core_program& program, run_options options);

}  // namespace detail

/// Runs f(args...) once per core, each on a thread, loop and driver of its own. f is called on each
/// of them at once, with copies of the arguments, so it must not share state that is not safe for
/// threads; cores() and this_core() (core/core_group.hpp) reach the others. TCP listeners share
/// their port (SO_REUSEPORT), the kernel spreads the connections. An error in one cancels all and
/// is then handled as run() does; errors of several are one error_group.
template <class F, class... A>
int run_on_all_cores(run_options options, F f, A... args) {
  detail::core_function<F, A...> program(std::move(f), std::move(args)...);
  return detail::run_cores(program, options);
}
template <class F, class... A>
  requires std::is_invocable_v<F&, A&...>
int run_on_all_cores(F f, A... args) {
  return run_on_all_cores(run_options{}, std::move(f), std::move(args)...);
}

}  // namespace weir
