// What a durable group of records costs: 1 KiB records in groups of 1 to 1,000 through the
// journal, beside a plain pwrite and fdatasync of as many bytes into a file of zeros. Both take
// turns on one disk, so that its moods hit both; the value is the median time of a group, from the
// first append until all of it is durable.
#include <weir/store/journal.hpp>

#include <weir/base/assert.hpp>
#include <weir/core/run.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/io/make_driver.hpp>

#include "measure.hpp"
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

namespace {

constexpr std::size_t record_bytes = 1'024;
constexpr std::array<int, 4> group_sizes{1, 10, 100, 1'000};

/// Keeps nothing: the benchmark never looks back.
class no_state final : public weir::journal_client {
 public:
  void reset() override {}
  weir::result<void> load(std::string_view) override { return {}; }
  weir::result<void> apply(const weir::record_view&, weir::location, std::uint64_t) override {
    return {};
  }
  void begin_snapshot() override {}
  bool next_slice(std::string&, std::size_t) override { return false; }
  std::uint64_t live_bytes(std::uint32_t) const override {
    return std::uint64_t{1} << 40;  // all of it: nothing to compact
  }
  std::vector<std::uint32_t> live_segments() const override { return {}; }
  weir::result<void> relocate(const weir::record_view&, weir::location) override { return {}; }
};

/// The same by hand: what nobody can be faster than without other system calls.
class plain_file {
 public:
  explicit plain_file(const std::string& path)
      : handle_(open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)) {
    WEIR_ASSERT(handle_ >= 0);
    const std::string zeros(std::size_t{1} << 20, '\0');
    for (std::int64_t at = 0; at < size; at += 1 << 20) {
      WEIR_ASSERT(pwrite(handle_, zeros.data(), zeros.size(), at) > 0);
    }
    WEIR_ASSERT(fsync(handle_) == 0);
  }
  plain_file(const plain_file&) = delete;
  plain_file& operator=(const plain_file&) = delete;
  ~plain_file() { close(handle_); }

  void write_group(const std::string& bytes) {
    const auto count = static_cast<std::int64_t>(bytes.size());
    if (at_ + count > size) at_ = 0;
    WEIR_ASSERT(pwrite(handle_, bytes.data(), bytes.size(), at_) == count);
    WEIR_ASSERT(fdatasync(handle_) == 0);
    at_ += count;
  }

 private:
  static constexpr std::int64_t size = std::int64_t{64} << 20;
  int handle_;
  std::int64_t at_ = 0;
};

using samples = std::vector<double>;

weir::task<> append_group(weir::journal& log, int count, const std::string& payload) {
  std::uint64_t lsn = 0;
  for (int i = 0; i < count; ++i) {
    const weir::record_view record{1, payload};
    weir::location place;
    lsn = co_await log.append({&record, 1}, weir::append_class::intake, {&place, 1});
  }
  co_await log.wait_durable(lsn);
}

template <class Work>
weir::task<> time_of(samples& into, Work work) {
  const std::int64_t before = bench::wall_ns();
  co_await work();
  into.push_back(static_cast<double>(bench::wall_ns() - before) / 1'000);
}

void print(const char* who, int count, samples took, std::uint64_t checksum) {
  std::sort(took.begin(), took.end());
  const std::string name = std::string("journal_group") + who + "/records=" + std::to_string(count);
  bench::print_row(name.c_str(), took[took.size() / 2], "us", checksum);
}

weir::task<> compare(weir::journal& log, plain_file& plain, int count, int rounds) {
  constexpr int turns = 20;  // groups in a row by the same side
  const std::string payload(record_bytes, 'x');
  const std::string group(record_bytes * static_cast<std::size_t>(count), 'x');
  samples ours;
  samples theirs;
  for (int i = 0; i < rounds * turns; ++i) {
    co_await time_of(ours, [&]() -> weir::task<> { co_await append_group(log, count, payload); });
    if (i % turns != 0) continue;
    for (int j = 0; j < turns; ++j) {
      co_await time_of(theirs, [&]() -> weir::task<> {
        plain.write_group(group);
        co_return;
      });
    }
  }
  const auto checksum = static_cast<std::uint64_t>(rounds * turns * count) * record_bytes;
  print("", count, ours, checksum);
  print("@pwrite_fdatasync", count, theirs, checksum);
}

weir::task<> run_all(std::string folder, int rounds) {
  no_state nothing;
  auto log = co_await weir::journal::open(folder + "/log", {}, nothing);
  plain_file plain(folder + "/plain");
  co_await weir::with_scope([&](weir::scope& s) -> weir::task<> {
    s.spawn([](weir::journal* running) -> weir::task<> { co_await running->run(); }, log.get());
    for (const int count : group_sizes) co_await compare(*log, plain, count, rounds);
    log->close();
  });
  // And back: what a restart costs for each record that no snapshot covers.
  log.reset();
  const std::int64_t before = bench::wall_ns();
  log = co_await weir::journal::open(folder + "/log", {}, nothing);
  const auto took = static_cast<double>(bench::wall_ns() - before);
  const std::uint64_t replayed = log->recovery().records_replayed;
  const std::string name = "journal_open/records=" + std::to_string(replayed);
  bench::print_row(name.c_str(), took / static_cast<double>(replayed), "ns", replayed);
}

}  // namespace

int main(int argc, char** argv) {
  const char* base = std::getenv("TMPDIR");
  std::string folder = std::string(base ? base : "/tmp") + "/weir-journal-bench-XXXXXX";
  WEIR_ASSERT(mkdtemp(folder.data()) != nullptr);
  const auto io = weir::make_driver();
  weir::run_on(*io, run_all(folder, bench::is_small(argc, argv) ? 1 : 40));
  std::filesystem::remove_all(folder);
  return 0;
}
