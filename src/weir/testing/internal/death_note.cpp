#include <weir/testing/internal/death_note.hpp>

#include <weir/base/program_here.hpp>
#include <weir/core/dump.hpp>
#include <weir/core/loop.hpp>

#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <utility>

namespace weir::testing::detail {

namespace {

// Handlers have no other place to look at than the process's.
constinit death_note* the_note = nullptr;

// A fault happens again when its handler returns; other signals have to be sent again.
bool comes_back(int number, const siginfo_t& about) noexcept {
  const bool is_fault =
      number == SIGSEGV || number == SIGBUS || number == SIGFPE || number == SIGILL;
  return is_fault && about.si_code > 0;
}

}  // namespace

death_note::death_note(std::string command) : command_(std::move(command)), process_(::getpid()) {
  static const bool hears_exits =
      std::atexit(&hear_exit) == 0 && std::at_quick_exit(&hear_exit) == 0;
  static_cast<void>(hears_exits);
  the_note = this;
  for (std::size_t i = 0; i < std::size(signals); ++i) {
    struct sigaction mine = {};
    mine.sa_sigaction = &hear_signal;
    mine.sa_flags = SA_SIGINFO | SA_ONSTACK;
    ::sigaction(signals[i], &mine, &before_[i]);
    // What the shell has said is not to be heard is not.
    if (before_[i].sa_handler == SIG_IGN) ::sigaction(signals[i], &before_[i], nullptr);
  }
  stack_t now = {};
  if (::sigaltstack(nullptr, &now) != 0 || (now.ss_flags & SS_DISABLE) == 0) return;
  stack_ = std::make_unique<char[]>(stack_bytes);
  const stack_t own{.ss_sp = stack_.get(), .ss_flags = 0, .ss_size = stack_bytes};
  ::sigaltstack(&own, nullptr);
}

death_note::~death_note() {
  if (stack_) {
    const stack_t none{.ss_sp = nullptr, .ss_flags = SS_DISABLE, .ss_size = 0};
    ::sigaltstack(&none, nullptr);
  }
  for (std::size_t i = 0; i < std::size(signals); ++i)
    ::sigaction(signals[i], &before_[i], nullptr);
  the_note = nullptr;
}

void death_note::begin_run(const run_name& which) {
  if (the_note) the_note->run_ = which.text();
}
void death_note::end_run() noexcept {
  if (the_note) the_note->run_.clear();
}

void death_note::tell(const char* how) noexcept {
  weir::detail::stderr_sink out;
  out.put("weir: the test ");
  out.put(how);
  out.put(" in one of its schedules; replay it with WEIR_REPLAY=");
  out.put(the_note->run_.c_str());
  out.put(the_note->command_.c_str());
  out.put("\n");
  out.flush();  // before what may fail
  if (loop* const on = loop::current()) weir::detail::print_running_task(*on, out);
}

void death_note::hear_signal(int number, siginfo_t* about, void* /*context*/) noexcept {
  const weir::detail::world_runs dying;  // nothing here is a call of the program's
  for (std::size_t i = 0; i < std::size(signals); ++i)
    ::sigaction(signals[i], &the_note->before_[i], nullptr);
  if (!the_note->run_.empty() && ::getpid() == the_note->process_) tell("died");
  if (!comes_back(number, *about)) ::raise(number);
}

// Else the tests behind this one would be left out, and the program would end as if all had passed.
void death_note::hear_exit() noexcept {
  if (!the_note || the_note->run_.empty() || ::getpid() != the_note->process_) return;
  const weir::detail::world_runs ending;
  tell("ended the process, as by exit(),");
  std::fflush(nullptr);
  the_note->run_.clear();  // the escape guard's _exit() asks here, too
  ::_exit(EXIT_FAILURE);
}

}  // namespace weir::testing::detail
