// Runs a task to its end inside a command and gives its value, or throws what it raised: a command
// tells failures in one line, not with the stack that a server would print.
#pragma once

#include <weir/apps/command.hpp>
#include <weir/io/run_program.hpp>

#include <exception>
#include <optional>
#include <utility>

namespace weir {

namespace detail {
template <class T>
task<> run_into(task<T> work, std::optional<T>* value, std::exception_ptr* failure) {
  try {
    value->emplace(co_await std::move(work));
  } catch (...) {
    *failure = std::current_exception();
  }
}
}  // namespace detail

/// What Ctrl-C and SIGTERM do to a command.
enum class at_interrupt {
  end,      // it ends as any other program does
  clean_up  // its task is cancelled, and removes what it has made; a second one ends it
};

template <class T>
T run_here(task<T> work, at_interrupt reaction = at_interrupt::end) {
  std::optional<T> value;
  std::exception_ptr failure;
  run_options options;
  options.stop_on_signals = reaction == at_interrupt::clean_up;
  const int code = run(detail::run_into(std::move(work), &value, &failure), options);
  if (failure) std::rethrow_exception(failure);
  if (!value && code == 0) throw command_failure{exit_code::failed, "interrupted"};
  if (!value) throw command_failure{exit_code::usage, {}};  // no driver: run() has said why
  return std::move(*value);
}

}  // namespace weir
