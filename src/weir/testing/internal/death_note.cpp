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

// Somebody wants it to end: a time limit, or who sits before it.
bool is_from_outside(int number) noexcept { return number == SIGTERM || number == SIGINT; }

// A fault happens again when its handler returns; other signals have to be sent again.
bool comes_back(int number, const siginfo_t& about) noexcept {
  const bool is_fault =
      number == SIGSEGV || number == SIGBUS || number == SIGFPE || number == SIGILL;
  return is_fault && about.si_code > 0;
}

}  // namespace

death_note::death_note(std::string command, std::unique_ptr<second_look> look)
    : command_(std::move(command)), look_(std::move(look)), process_(::getpid()) {
  begin();
}
death_note::death_note(death_listener& instead) : instead_(&instead), process_(::getpid()) {
  begin();
}

void death_note::begin() noexcept {
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
  if (!the_note) return;
  the_note->run_ = which.text();
  if (the_note->look_) the_note->look_->name_run(the_note->run_);
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

bool death_note::is_mine() const noexcept { return !run_.empty() && ::getpid() == process_; }

void death_note::look_again(int number) noexcept {
  if (instead_) return instead_->died(number);
  if (look_) look_->take();
}

void death_note::hear_signal(int number, siginfo_t* about, void* /*context*/) noexcept {
  const weir::detail::world_runs dying;  // nothing here is a call of the program's
  for (std::size_t i = 0; i < std::size(signals); ++i)
    ::sigaction(signals[i], &the_note->before_[i], nullptr);
  if (the_note->is_mine()) {
    if (!the_note->instead_) tell("died");
    if (!is_from_outside(number)) the_note->look_again(number);
  }
  if (!comes_back(number, *about)) ::raise(number);
}

// Else the tests behind this one would be left out, and the program would end as if all had passed.
void death_note::hear_exit() noexcept {
  if (!the_note || !the_note->is_mine()) return;
  const weir::detail::world_runs ending;
  if (!the_note->instead_) tell("ended the process, as by exit(),");
  the_note->look_again(0);
  std::fflush(nullptr);
  the_note->run_.clear();  // the escape guard's _exit() asks here, too
  ::_exit(EXIT_FAILURE);
}

}  // namespace weir::testing::detail
