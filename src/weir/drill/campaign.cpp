#include <weir/drill/campaign.hpp>

#include <weir/base/error.hpp>
#include <weir/base/text.hpp>

#include <errno.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <utility>

namespace weir::drill {

namespace {

// Real time: how long to go on is asked of the user's clock, not of a simulated one.
time_point real_now() noexcept {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return time_point(std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec);
}

constexpr char line_break = '\x01';  // of a violation, inside of a line

void say(int to, std::string line) {
  line += '\n';
  for (std::size_t done = 0; done < line.size();) {
    const ssize_t count = ::write(to, line.data() + done, line.size() - done);
    if (count <= 0 && errno != EINTR) std::_Exit(0);  // nobody listens any more
    if (count > 0) done += static_cast<std::size_t>(count);
  }
}

constexpr std::uint64_t ledger_counts::* counters[] = {
    &ledger_counts::tried,     &ledger_counts::confirmed, &ledger_counts::duplicates,
    &ledger_counts::delivered, &ledger_counts::acked,     &ledger_counts::stale,
    &ledger_counts::done,      &ledger_counts::dead,      &ledger_counts::replied,
    &ledger_counts::pushed};

// "begin SEED", then "end SEED numbers...", "probe REACHED MET NAME" and "finding SEED TEXT".
void tell(int to, std::uint64_t seed, const drill_report& report) {
  for (const probe_book::entry& one : report.probes) {
    say(to, fmt::format("probe {} {} {}", one.reached, one.met, one.name));
  }
  if (report.is_failed()) {
    std::string text = report.violation;
    std::ranges::replace(text, '\n', line_break);
    say(to, fmt::format("finding {} {}", seed, text));
  }
  std::string line = fmt::format("end {} {}", report.simulated.ns, report.server_starts);
  for (const auto counter : counters) line += fmt::format(" {}", report.counts.*counter);
  for (const std::uint64_t count : report.strikes) line += fmt::format(" {}", count);
  say(to, std::move(line));
}

[[noreturn]] void run_worker(const campaign_settings& settings, int to, std::uint64_t first,
                             time_point until) {
  for (std::uint64_t seed = first; seed - settings.first_seed < settings.seeds_max;
       seed += settings.workers) {
    if (real_now() >= until) break;
    say(to, fmt::format("begin {}", seed));
    tell(to, seed, run_case({.settings = settings.drill, .seed = seed}));
  }
  std::_Exit(0);
}

struct worker {
  pid_t pid = -1;
  int from = -1;
  std::string unread = {};
  std::uint64_t seed = 0;  // the one it is at
  bool is_at_work = false;
};

/// Takes the next word of `text` as a number.
std::uint64_t take_number(std::string_view& text) {
  const std::size_t end = std::min(text.find(' '), text.size());
  const std::uint64_t number = parse_number(text.substr(0, end)).value_or(0);
  text.remove_prefix(std::min(end + 1, text.size()));
  return number;
}

class conductor {
 public:
  conductor(const campaign_settings& settings, campaign_listener& listener)
      : settings_(settings), listener_(listener), workers_(settings.workers) {}

  campaign_totals run() {
    const time_point began = real_now();
    until_ = began + settings_.length;
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      start(workers_[i], settings_.first_seed + i);
    }
    time_point told = began;
    while (std::ranges::any_of(workers_, [](const worker& one) { return one.from >= 0; })) {
      wait();
      totals_.passed = real_now() - began;
      if (real_now() - told < duration::seconds(1)) continue;
      told = real_now();
      listener_.progress(totals_);
    }
    return std::move(totals_);
  }

 private:
  void start(worker& one, std::uint64_t first) {
    int ends[2];
    if (::pipe(ends) != 0) raise(error::from_os(errno, "make a pipe for a worker"));
    std::fflush(nullptr);
    const pid_t pid = ::fork();
    if (pid < 0) raise(error::from_os(errno, "start a worker"));
    if (pid == 0) {
      ::close(ends[0]);
      std::signal(SIGPIPE, SIG_IGN);
      run_worker(settings_, ends[1], first, until_);
    }
    ::close(ends[1]);
    one = {.pid = pid, .from = ends[0]};
  }

  void wait() {
    std::vector<pollfd> all;
    std::vector<worker*> whose;
    for (worker& one : workers_) {
      if (one.from < 0) continue;
      all.push_back({.fd = one.from, .events = POLLIN, .revents = 0});
      whose.push_back(&one);
    }
    constexpr int look_every_ms = 200;
    ::poll(all.data(), all.size(), look_every_ms);
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (all[i].revents != 0) read(*whose[i]);
    }
  }

  void read(worker& one) {
    char buffer[16'384];
    const ssize_t count = ::read(one.from, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) return;
    if (count <= 0) return end(one);
    one.unread.append(buffer, static_cast<std::size_t>(count));
    for (std::size_t at = one.unread.find('\n'); at != std::string::npos;
         at = one.unread.find('\n')) {
      hear(one, std::string_view(one.unread).substr(0, at));
      one.unread.erase(0, at + 1);
    }
  }

  void hear(worker& one, std::string_view line) {
    const std::size_t space = std::min(line.find(' '), line.size());
    const std::string_view what = line.substr(0, space);
    line.remove_prefix(std::min(space + 1, line.size()));
    if (what == "begin") {
      one.seed = take_number(line);
      one.is_at_work = true;
    } else if (what == "probe") {
      const std::uint64_t reached = take_number(line);
      const std::uint64_t met = take_number(line);
      campaign_totals::probe& into = totals_.probes[std::string(line)];
      into.reached += reached;
      into.met += met;
    } else if (what == "finding") {
      const std::uint64_t seed = take_number(line);
      std::string text(line);
      std::ranges::replace(text, line_break, '\n');
      add({seed, std::move(text)});
    } else if (what == "end") {
      one.is_at_work = false;
      ++totals_.seeds;
      totals_.simulated += duration(static_cast<std::int64_t>(take_number(line)));
      totals_.server_starts += take_number(line);
      for (const auto counter : counters) totals_.counts.*counter += take_number(line);
      for (std::uint64_t& count : totals_.strikes) count += take_number(line);
    }
  }

  void end(worker& one) {
    ::close(one.from);
    one.from = -1;
    int status = 0;
    while (::waitpid(one.pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (!one.is_at_work) return;
    add({one.seed, WIFSIGNALED(status)
                       ? fmt::format("the process died by signal {}", WTERMSIG(status))
                       : fmt::format("the process ended with {}", WEXITSTATUS(status))});
    ++totals_.seeds;
    if (real_now() < until_) start(one, one.seed + settings_.workers);
  }

  void add(finding one) {
    ++totals_.failed;
    if (totals_.findings.size() < campaign_totals::findings_max) {
      totals_.findings.push_back(std::move(one));
    }
  }

  campaign_settings settings_;
  campaign_listener& listener_;
  std::vector<worker> workers_;
  time_point until_;
  campaign_totals totals_;
};

}  // namespace

campaign_totals run_campaign(const campaign_settings& settings, campaign_listener& listener) {
  return conductor(settings, listener).run();
}

std::vector<std::string> never_met(const campaign_totals& totals) {
  std::vector<std::string> names;
  for (const auto& [name, one] : totals.probes) {
    if (one.met == 0) names.push_back(name);
  }
  return names;
}

std::string summary_of(const campaign_totals& totals) {
  const double seconds = std::max(1e-3, static_cast<double>(totals.passed.ns) / 1e9);
  const double simulated = static_cast<double>(totals.simulated.ns) / 1e9;
  std::string out = fmt::format(
      "{} seeds in {:.1f} s ({:.2f} a second), {:.1f} simulated hours ({:.0f} times real time)\n",
      totals.seeds, seconds, static_cast<double>(totals.seeds) / seconds, simulated / 3600,
      simulated / seconds);
  const ledger_counts& counts = totals.counts;
  out += fmt::format(
      "messages: {} submitted, {} confirmed, {} given out ({} of them pushed), {} acknowledged, {} "
      "done, {} dead, {} replies; {} server starts\n",
      counts.tried, counts.confirmed, counts.delivered, counts.pushed, counts.acked, counts.done,
      counts.dead, counts.replied, totals.server_starts);
  out += "faults:";
  for (std::size_t i = 0; i < chaos_kinds; ++i) {
    out += fmt::format("{} {} {}", i == 0 ? "" : ",", name(static_cast<chaos_kind>(i)),
                       totals.strikes[i]);
  }
  out += '\n';
  for (const auto& [name, one] : totals.probes) {
    out += fmt::format("sometimes: {:>8} of {:>8} {}{}\n", one.met, one.reached, name,
                       one.met == 0 ? "  <- NEVER" : "");
  }
  return out;
}

}  // namespace weir::drill
