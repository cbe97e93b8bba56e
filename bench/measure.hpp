// What all benchmark programs of ours share: clocks and the line that tools/bench.py reads. The
// hard idea: on a shared machine wall time measures the neighbours, so whatever runs on one thread
// is charged by the processor time of the process.
#pragma once

#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>

namespace bench {

inline std::int64_t read_clock(clockid_t which) {
  timespec now{};
  clock_gettime(which, &now);
  return now.tv_sec * std::int64_t{1'000'000'000} + now.tv_nsec;
}
/// Processor time of all threads of this process.
inline std::int64_t cpu_ns() { return read_clock(CLOCK_PROCESS_CPUTIME_ID); }
inline std::int64_t wall_ns() { return read_clock(CLOCK_MONOTONIC); }

/// What this process has in memory that is its own, in bytes.
inline std::int64_t private_bytes() {
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  if (!file) return 0;
  std::int64_t total = 0;
  std::int64_t resident = 0;
  std::int64_t shared = 0;
  const int found = std::fscanf(file, "%ld %ld %ld", &total, &resident, &shared);
  std::fclose(file);
  return found == 3 ? (resident - shared) * sysconf(_SC_PAGESIZE) : 0;
}

/// `--small`: tiny parameters, which show that it works and not how fast.
inline bool is_small(int argc, char** argv) {
  return argc > 1 && std::strcmp(argv[1], "--small") == 0;
}

/// name[/parameters] value unit checksum, as tools/bench.py expects it.
inline void print_row(const char* name, double value, const char* unit, std::uint64_t checksum) {
  std::printf("%s %.3f %s %lu\n", name, value, unit, checksum);
  std::fflush(stdout);
}

/// Runs `work(count)`, which returns a checksum, `Repeats` times after a short warm-up and prints
/// the median time of one operation by `clock`.
template <int Repeats = 3, class Work>
void measure(const char* name, std::int64_t count, Work work, std::int64_t (*clock)() = cpu_ns) {
  work(count / 16 + 1);
  double took[Repeats] = {};
  std::uint64_t checksum = 0;
  for (double& one : took) {
    const std::int64_t before = clock();
    checksum = work(count);
    one = static_cast<double>(clock() - before) / static_cast<double>(count);
  }
  std::sort(took, took + Repeats);
  print_row(name, took[Repeats / 2], "ns", checksum);
}

/// A pseudo-random number for number `n`, the same in every language (32-bit arithmetic only).
inline std::uint32_t scramble(std::uint32_t n) {
  n ^= n >> 16;
  n *= 0x45d9f3bU;
  n ^= n >> 16;
  return n;
}

}  // namespace bench
