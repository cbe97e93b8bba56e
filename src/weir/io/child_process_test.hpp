// For tests only: runs code in a child process and hears what it wrote and how it ended.
#pragma once

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <string_view>

namespace weir {

struct child_outcome {
  int code = -1;     // of its exit
  int signal = 0;    // that killed it
  std::string text;  // its standard error
};

inline constexpr std::string_view ready_line = "ready\n";

/// In the child: what in_child waits for before it calls `when_ready`.
inline void say_ready() { std::fprintf(stderr, "ready\n"); }

/// Forks, runs body() in the child (its value is the exit code), and calls when_ready(child) once
/// it has said that it is ready.
/// Kills it once is_enough(text) of what it wrote so far.
template <class Body, class WhenReady, class IsEnough>
child_outcome in_child(Body body, WhenReady when_ready, IsEnough is_enough) {
  int ends[2];
  if (::pipe(ends) != 0) return {};
  std::fflush(stdout);
  const pid_t child = ::fork();
  if (child == 0) {
    // nohup, cron and some shells start programs that ignore some of these, which a child inherits.
    for (const int number : {SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGTERM}) ::signal(number, SIG_DFL);
    ::dup2(ends[1], STDERR_FILENO);
    ::close(ends[0]);
    ::close(ends[1]);
    ::_exit(body());
  }
  ::close(ends[1]);
  child_outcome outcome;
  bool is_ready = false;
  char piece[4096];
  for (;;) {
    const ssize_t count = ::read(ends[0], piece, sizeof piece);
    if (count <= 0) break;
    outcome.text.append(piece, static_cast<std::size_t>(count));
    if (!is_ready && outcome.text.find(ready_line) != std::string::npos) {
      is_ready = true;
      when_ready(child);
    }
    if (is_enough(outcome.text)) ::kill(child, SIGKILL);
  }
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFEXITED(status)) outcome.code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) outcome.signal = WTERMSIG(status);
  return outcome;
}
template <class Body, class WhenReady>
child_outcome in_child(Body body, WhenReady when_ready) {
  return in_child(body, when_ready, [](const std::string&) { return false; });
}
template <class Body>
child_outcome in_child(Body body) {
  return in_child(body, [](pid_t) {});
}

}  // namespace weir
