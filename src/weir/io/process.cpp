#include <weir/io/process.hpp>

#include <weir/base/error.hpp>
#include <weir/core/as_result.hpp>
#include <weir/core/error_group.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/io/internal/spawn_child.hpp>
#include <weir/io/io_wait.hpp>
#include <weir/io/readiness.hpp>
#include <weir/io/signals.hpp>

#include <fmt/format.h>
#include <signal.h>

#include <utility>

namespace weir {

namespace {

// Without a handle that shows its end (a pidfd): SIGCHLD tells that some child has ended, but one
// that came before it was listened for is lost, so that it is only a reason to look earlier.
constexpr duration look_again = duration::milliseconds(50);

// A start on the blocking pool, since an exec waits for the disk. Gives 0 or an errno.
class start_wait final : public detail::io_wait<start_wait, int> {
 public:
  static constexpr auto when_cancelled = cancel_safety::point_of_no_return;
  start_wait(void (*start)(void*), void* state) noexcept : io_wait(kind_) {
    op = io_op::start_child;
    function = start;
    memory = state;
  }
  result<int> take() noexcept { return outcome < 0 ? static_cast<int>(-outcome) : 0; }

 private:
  static const detail::wait_kind kind_;
};
constinit const detail::wait_kind start_wait::kind_{"start of a child process", &start_wait::leave};

// The child's ends of its pipes, which are closed when it has been started.
struct child_ends {
  pipe_reader input;
  pipe_writer output;
  pipe_writer errors;
};

// A pipe from the child, if it is to have one.
void make_piped(child_stream& stream, pipe_reader& ours, pipe_writer& theirs) {
  if (stream.from != child_stream::source::piped) return;
  pipe_ends made = make_pipe();
  ours = std::move(made.reader);
  theirs = std::move(made.writer);
  stream.handle = theirs.handle();
}

void connect_streams(child_plan& plan, const child_stream (&streams)[3]) noexcept {
  for (int i = 0; i < 3; ++i) {
    plan.streams[i] = streams[i].handle;
    plan.is_null[i] = streams[i].from == child_stream::source::null;
  }
  if (streams[2].from != child_stream::source::as_output) return;
  plan.is_ours[2] = plan.streams[1] < 0;
  plan.streams[2] = plan.is_ours[2] ? 1 : plan.streams[1];
  plan.is_null[2] = plan.is_null[1];
}

}  // namespace

process::~process() {
  if (is_reaped_) return;
  // Only when its end has failed: a driver without memory, for example.
  host_->signal_child(pid_, end_.handle(), SIGKILL);
  host_->reap_child(pid_);
}

task<> process::start(const command& what) {
  driver& io = loop::current()->io();
  host_ = io.children();
  if (!host_) {
    raise(error(errc::unsupported, fmt::format("start '{}': the driver '{}' has no processes",
                                               what.program(), io.name())));
  }
  child_plan plan = value_or_raise(detail::plan_of(*host_, what));
  child_ends theirs;
  child_stream streams[3] = {what.stream(0), what.stream(1), what.stream(2)};
  if (streams[0].from == child_stream::source::piped) {
    pipe_ends made = make_pipe();
    input_ = std::move(made.writer);
    theirs.input = std::move(made.reader);
    streams[0].handle = theirs.input.handle();
  }
  make_piped(streams[1], output_, theirs.output);
  make_piped(streams[2], errors_, theirs.errors);
  connect_streams(plan, streams);
  name_ = what.program();
  grace_ = what.grace();
  has_own_group_ = what.has_own_group();

  // What is started is ours at once, also when this wait is cancelled meanwhile.
  struct start_call {
    process& self;
    const child_plan& plan;
    started_child made;
  } call{*this, plan, {}};
  const int refusal = co_await start_wait(
      [](void* memory) {
        auto& [self, how, made] = *static_cast<start_call*>(memory);
        made = self.host_->start_child(how);
        if (made.failure != 0) return;
        self.pid_ = made.pid;
        self.is_reaped_ = false;
        self.state_ = state::running;
      },
      &call);
  const int failure = refusal != 0 ? refusal : call.made.failure;
  if (failure != 0) raise(detail::spawn_failure(io, plan, failure));
  if (call.made.end >= 0) end_ = detail::socket_owner(io, call.made.end);
}

void process::look() {
  if (state_ != state::running) return;
  // With a group the number stays taken until the group has been ended: it must name no other.
  switch (host_->look_at_child(pid_, !has_own_group_, status_)) {
    case child_state::running:
      return;
    case child_state::lost:
      state_ = state::lost;
      is_reaped_ = true;
      return;
    case child_state::ended:
      state_ = state::ended;
      is_reaped_ = !has_own_group_;
      return;
  }
}

task<> process::wait_for_end() {
  const io_handle end = end_.handle_here();
  for (look(); state_ == state::running; look()) {
    if (end >= 0) {
      co_await wait_readable(end);
    } else {
      static_cast<void>(co_await as_result(with_timeout(look_again, wait_signal(SIGCHLD))));
      co_await checkpoint();
    }
  }
}

task<exit_status> process::wait() {
  co_await wait_for_end();
  if (state_ == state::ended) co_return status_;
  raise(
      error(state_ == state::none ? errc::closed : errc::io,
            state_ == state::none
                ? std::string("wait for a process that was not started")
                : fmt::format("how '{}' (process {}) ended is lost: this program ignores SIGCHLD, "
                              "or waits for children elsewhere",
                              name_, pid_)));
}

bool process::signal(int number) noexcept {
  if (state_ != state::running) return false;
  return has_own_group_ ? host_->signal_group(pid_, number)
                        : host_->signal_child(pid_, end_.handle(), number);
}

task<> process::end_for_good() {
  look();
  if (state_ == state::running && grace_ > duration{}) {
    signal(SIGTERM);
    signal(SIGCONT);  // one that is stopped would not hear of it
  }
  input_.close();
  output_.close();
  errors_.close();
  if (state_ == state::running && grace_ > duration{})
    static_cast<void>(co_await as_result(with_timeout(grace_, wait_for_end())));
  co_await checkpoint();
  if (state_ == state::running) signal(SIGKILL);
  co_await wait_for_end();
  reap();
}

void process::reap() noexcept {
  if (is_reaped_) return;
  host_->signal_group(pid_, SIGKILL);  // what the child has left behind
  host_->reap_child(pid_);
  is_reaped_ = true;
}

task<exit_status> process::end() {
  static_cast<void>(end_.handle_here());
  co_await end_for_good();
  co_return co_await wait();
}

namespace {

task<> feed(process* child, std::string_view input) {
  // A child may end, or close its input, without having read all of it; its status tells the rest.
  const result<void> sent = co_await as_result(child->input().send(input));
  if (!sent && sent.error().code() != errc::broken && sent.error().code() != errc::cancelled)
    raise(sent.error());
  child->input().close();
}

// Where captured bytes go.
struct capture {
  const char* what;
  std::string* into;
  std::size_t bytes_max;
  scope* all;              // cancelled when there are more
  const char** overflown;  // and told which
};

task<> drain(pipe_reader* from, capture to) {
  while (const bytes piece = co_await from->receive()) {
    if (piece.size() > to.bytes_max - to.into->size()) {
      *to.overflown = to.what;
      to.all->cancel("too much output");
      co_return;
    }
    *to.into += piece.text();
  }
}

}  // namespace

task<finished_process> run_process(command what, run_process_options options) {
  constexpr auto unset = child_stream::source::unset;
  if (!options.input.empty()) what.input(child_stream::piped());
  if (what.stream(1).from == unset) what.output(child_stream::piped());
  if (what.stream(2).from == unset) what.errors(child_stream::piped());
  const std::string name = what.program();
  finished_process done;
  const char* overflown = nullptr;
  const auto talk = [&](process& child) -> task<> {
    co_await with_scope([&](scope& all) -> task<> {
      const std::size_t bytes_max = options.output_bytes_max;
      if (child.input()) all.spawn(feed, &child, options.input);
      if (child.output())
        all.spawn(drain, &child.output(),
                  capture{"output", &done.output, bytes_max, &all, &overflown});
      if (child.errors())
        all.spawn(drain, &child.errors(),
                  capture{"errors", &done.errors, bytes_max, &all, &overflown});
      done.status = co_await child.wait();
    });
  };
  const auto converse = [&](process& child) -> task<> {
    try {
      co_await talk(child);
    } catch (const error_group& all) {
      all.raise_if_any();  // one alone as it is, for as_result()
      throw;
    }
  };
  co_await with_process(std::move(what), converse);
  if (overflown) {
    raise(error(errc::full, fmt::format("'{}' wrote more than {} bytes to its {}; raise "
                                        "output_bytes_max, or read it through with_process()",
                                        name, options.output_bytes_max, overflown)));
  }
  co_return done;
}

}  // namespace weir
