#include <weir/apps/machine_use.hpp>

#include <weir/base/text.hpp>

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>

namespace weir {

namespace {

double seconds_of(int who) noexcept {
  rusage used{};
  ::getrusage(who, &used);
  return static_cast<double>(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
         static_cast<double>(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

}  // namespace

std::optional<machine_use> machine_use::now() {
  std::ifstream file("/proc/stat");
  std::string line;
  std::getline(file, line);
  std::optional<machine_use> out = parse_machine_use(line);
  if (out) out->own_seconds = seconds_of(RUSAGE_SELF) + seconds_of(RUSAGE_CHILDREN);
  return out;
}

std::optional<machine_use> parse_machine_use(std::string_view line) {
  constexpr std::string_view head = "cpu ";
  constexpr int counts = 8;  // what follows is part of user and nice
  constexpr int idle = 3;
  constexpr int waits_for_disk = 4;
  if (!line.starts_with(head)) return std::nullopt;
  line.remove_prefix(head.size());
  machine_use out;
  for (int i = 0; i < counts; ++i) {
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    const std::size_t end = std::min(line.find(' '), line.size());
    const result<std::uint64_t> ticks = parse_number(line.substr(0, end));
    if (!ticks) return std::nullopt;
    line.remove_prefix(end);
    out.all += *ticks;
    if (i != idle && i != waits_for_disk) out.busy += *ticks;
  }
  return out;
}

double share_of_others(const machine_use& before, const machine_use& after,
                       double ticks_per_second) noexcept {
  if (after.all <= before.all) return 0;
  const double all = static_cast<double>(after.all - before.all);
  const double busy = after.busy > before.busy ? static_cast<double>(after.busy - before.busy) : 0;
  const double own = (after.own_seconds - before.own_seconds) * ticks_per_second;
  return std::clamp((busy - own) / all, 0.0, 1.0);
}

double machine_ticks_per_second() noexcept { return static_cast<double>(::sysconf(_SC_CLK_TCK)); }

}  // namespace weir
