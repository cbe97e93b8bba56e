#include <weir/io/internal/spawn_child.hpp>

#include <weir/io/internal/zero_byte.hpp>
#include <weir/io/outcome_of.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <string_view>

namespace weir::detail {

namespace {

std::vector<std::string> environment_of(const child_host& host, const command& what) {
  std::vector<std::string> all;
  if (what.has_our_environment()) all = host.our_environment();
  for (const command::variable& one : what.variables()) {
    const std::string start = one.name + "=";
    std::erase_if(all, [&](const std::string& old) { return old.starts_with(start); });
    if (one.is_set) all.push_back(start + one.value);
  }
  return all;
}

std::vector<char*> pointers_to(const std::vector<std::string>& texts) {
  std::vector<char*> all;
  for (const std::string& one : texts) all.push_back(const_cast<char*>(one.c_str()));
  all.push_back(nullptr);
  return all;
}

// What posix_spawn is to do before the exec.
class spawn_orders {
 public:
  spawn_orders() noexcept {
    ::posix_spawn_file_actions_init(&actions_);
    ::posix_spawnattr_init(&attributes_);
  }
  spawn_orders(const spawn_orders&) = delete;
  spawn_orders& operator=(const spawn_orders&) = delete;
  ~spawn_orders() {
    ::posix_spawn_file_actions_destroy(&actions_);
    ::posix_spawnattr_destroy(&attributes_);
    for (const int one : raised_) {
      if (one >= 0) ::close(one);
    }
  }

  /// 0 or an errno.
  int prepare(const child_plan& plan) noexcept {
    int failure = 0;
    for (int i = 0; i < 3 && failure == 0; ++i) failure = connect(plan, i);
    if (failure == 0) failure = ::posix_spawn_file_actions_addclosefrom_np(&actions_, 3);
    if (failure == 0 && !plan.folder.empty())
      failure = ::posix_spawn_file_actions_addchdir_np(&actions_, plan.folder.c_str());
    return failure != 0 ? failure : set_attributes(plan);
  }
  int start(const child_plan& plan, pid_t& pid) noexcept {
    try {
      const std::vector<char*> arguments = pointers_to(plan.arguments);
      const std::vector<char*> environment = pointers_to(plan.environment);
      return ::posix_spawnp(&pid, plan.program.c_str(), &actions_, &attributes_, arguments.data(),
                            environment.data());
    } catch (const std::bad_alloc&) {
      return ENOMEM;
    }
  }

 private:
  // A descriptor below 3 could be overwritten by the order for another stream: it is moved up.
  int connect(const child_plan& plan, int number) noexcept {
    if (plan.is_null[number]) {
      const int flags = number == 0 ? O_RDONLY : O_WRONLY;
      return ::posix_spawn_file_actions_addopen(&actions_, number, "/dev/null", flags, 0);
    }
    int from = plan.streams[number];
    if (from < 0) return 0;
    if (from < 3) {
      from = raised_[number] = ::fcntl(from, F_DUPFD_CLOEXEC, 3);
      if (from < 0) return errno;
    }
    return ::posix_spawn_file_actions_adddup2(&actions_, from, number);
  }
  // No signal is blocked, and SIGPIPE ends the child as its author expects, also when we ignore it.
  int set_attributes(const child_plan& plan) noexcept {
    sigset_t none;
    sigset_t pipe_only;
    sigemptyset(&none);
    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    ::posix_spawnattr_setsigmask(&attributes_, &none);
    ::posix_spawnattr_setsigdefault(&attributes_, &pipe_only);
    ::posix_spawnattr_setpgroup(&attributes_, 0);
    int flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
    if (plan.has_own_group) flags |= POSIX_SPAWN_SETPGROUP;
    return ::posix_spawnattr_setflags(&attributes_, static_cast<short>(flags));
  }

  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
  int raised_[3] = {-1, -1, -1};
};

bool is_folder(driver& io, const std::string& path) noexcept {
  file_status found;
  return io.status_of(path.c_str(), found) == 0 && found.is_directory;
}

exit_status status_of(const siginfo_t& info) noexcept {
  if (info.si_code == CLD_EXITED) return {.code = info.si_status, .signal = 0};
  return {.code = -1, .signal = info.si_status};
}

}  // namespace

result<child_plan> plan_of(const child_host& host, const command& what) {
  const auto refuse = [](std::string text) { return fail(error(errc::invalid_argument, text)); };
  if (what.program().empty()) return refuse("a command needs a program");
  if (has_zero(what.program()) || has_zero(what.folder()))
    return refuse(fmt::format("a path to start has a zero byte: '{}'", what.program().c_str()));
  constexpr auto as_output = child_stream::source::as_output;
  if (what.stream(0).from == as_output || what.stream(1).from == as_output)
    return refuse("as_output() is for a child's errors only");
  constexpr const char* stream_names[3] = {"input", "output", "errors"};
  for (int i = 0; i < 3; ++i) {
    if (what.stream(i).from != child_stream::source::given || what.stream(i).handle >= 0) continue;
    return fail(error(errc::closed, fmt::format("start '{}': the file or pipe for its {} is closed",
                                                what.program(), stream_names[i])));
  }
  for (const std::string& one : what.arguments()) {
    if (has_zero(one))
      return refuse(
          fmt::format("an argument of '{}' has a zero byte, which programs can't be given: "
                      "'{}...'",
                      what.program(), one.c_str()));
  }
  for (const command::variable& one : what.variables()) {
    if (one.name.empty() || one.name.find('=') != one.name.npos || has_zero(one.name) ||
        has_zero(one.value))
      return refuse(
          fmt::format("no environment variable for '{}': '{}' (names have no '=', and "
                      "neither part a zero byte)",
                      what.program(), one.name.c_str()));
  }
  child_plan plan{.program = what.program(),
                  .folder = what.folder(),
                  .arguments = {what.program()},
                  .environment = environment_of(host, what),
                  .has_own_group = what.has_own_group(),
                  .wants_end = what.wants_pidfd()};
  plan.arguments.insert(plan.arguments.end(), what.arguments().begin(), what.arguments().end());
  return plan;
}

error spawn_failure(driver& io, const child_plan& plan, int number) {
  file_status found;
  if (!plan.folder.empty() && !is_folder(io, plan.folder)) {
    const bool is_there = io.status_of(plan.folder.c_str(), found) == 0;
    return error::from_os(number, fmt::format("start '{}': its folder '{}' is {}", plan.program,
                                              plan.folder, is_there ? "no folder" : "not there"));
  }
  if (number == E2BIG) {
    return error::from_os(number, fmt::format("start '{}': its arguments and environment are too "
                                              "long: write to its input instead",
                                              plan.program));
  }
  if (number == ENOEXEC) {
    return error::from_os(number, fmt::format("start '{}', which is no program for this machine, "
                                              "and no script: its first line would be '#!...'",
                                              plan.program));
  }
  if (number == ENOENT && plan.program.find('/') == plan.program.npos) {
    return error::from_os(number,
                          fmt::format("start '{}', which is in no folder of PATH", plan.program));
  }
  const bool starts_from_folder = !plan.folder.empty() && !plan.program.starts_with('/');
  const std::string path = starts_from_folder ? plan.folder + "/" + plan.program : plan.program;
  if (number == ENOENT && io.status_of(path.c_str(), found) == 0) {
    return error::from_os(number, fmt::format("start '{}', whose interpreter (its first line, or "
                                              "the loader that it names) is missing",
                                              plan.program));
  }
  return error::from_os(number, fmt::format("start '{}'", plan.program));
}

namespace {

// A child expects that its reads and writes block. The ends of a pipe are told that one by one;
// what is ours stays as it is, for all who share it would see it change. Without a child the ends
// are still a loop's, which may not block on them.
class blocking_ends {
 public:
  explicit blocking_ends(const child_plan& plan) noexcept {
    for (int i = 0; i < 3; ++i) {
      const int one = plan.is_ours[i] ? -1 : plan.streams[i];
      const int flags = one >= 0 ? ::fcntl(one, F_GETFL) : -1;
      if (flags < 0 || (flags & O_NONBLOCK) == 0) continue;
      if (::fcntl(one, F_SETFL, flags & ~O_NONBLOCK) == 0) changed_[i] = one;
    }
  }
  blocking_ends(const blocking_ends&) = delete;
  blocking_ends& operator=(const blocking_ends&) = delete;
  ~blocking_ends() {
    for (const int one : changed_) {
      if (one >= 0) ::fcntl(one, F_SETFL, ::fcntl(one, F_GETFL) | O_NONBLOCK);
    }
  }
  void keep() noexcept { std::ranges::fill(changed_, -1); }

 private:
  int changed_[3] = {-1, -1, -1};
};

class kernel_child_host final : public child_host {
 public:
  std::vector<std::string> our_environment() const override {
    std::vector<std::string> all;
    for (char** one = environ; one && *one; ++one) all.emplace_back(*one);
    return all;
  }
  started_child start_child(const child_plan& plan) noexcept override {
    started_child made;
    blocking_ends ends(plan);
    spawn_orders orders;
    made.failure = orders.prepare(plan);
    if (made.failure != 0) return made;
    pid_t pid = -1;
    made.failure = orders.start(plan, pid);
    if (made.failure != 0) return made;
    ends.keep();
    made.pid = pid;
    // Its number is the child's until it is reaped, so this can't name another. Where the kernel or
    // a filter of system calls refuses, SIGCHLD does.
    if (plan.wants_end)
      made.end = static_cast<int>(std::max(-1L, ::syscall(SYS_pidfd_open, pid, 0)));
    return made;
  }
  child_state look_at_child(int pid, bool reaps, exit_status& out) noexcept override {
    siginfo_t info = {};
    const int flags = WEXITED | WNOHANG | (reaps ? 0 : WNOWAIT);
    const std::int64_t outcome =
        outcome_of([&] { return ::waitid(P_PID, static_cast<id_t>(pid), &info, flags); });
    if (outcome < 0) return child_state::lost;
    if (info.si_pid == 0) return child_state::running;
    out = status_of(info);
    return child_state::ended;
  }
  void reap_child(int pid) noexcept override {
    siginfo_t info = {};
    outcome_of([&] { return ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED); });
  }
  bool signal_child(int pid, io_handle end, int number) noexcept override {
    if (end >= 0) return ::syscall(SYS_pidfd_send_signal, end, number, nullptr, 0) == 0;
    return ::kill(pid, number) == 0;
  }
  bool signal_group(int pid, int number) noexcept override { return ::kill(-pid, number) == 0; }
};

}  // namespace

child_host& kernel_children() noexcept {
  static constinit kernel_child_host host;
  return host;
}

}  // namespace weir::detail
