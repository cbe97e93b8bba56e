// Where two runs of several machines part that should be one. The hard idea: a hash of all that has
// happened is kept at marks, whose distance doubles when they get too many; so a run of any length
// takes the same memory, and the one stretch between two marks is looked at step by step in another
// pair of runs.
//
//   marks    |   |   |   |   |   |        of two runs: the first that differs ends the stretch
//   stretch          [...]                hashes and stacks of its steps, in two runs more
#pragma once

#include <weir/sim/virtual_nodes.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace weir {

/// Some steps of a run, from 0; the last one is not among them.
struct stretch {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
};

/// What of a packet counts. Its size alone where the content is encrypted by a library that asks
/// the real clock: OpenSSL has no hook for that, and its tickets hold the second in which they are
/// made.
enum class packet_bytes : std::uint8_t { all, size };

/// The steps of a run of several machines: those of their tasks, and packets that come.
///
/// Cancel:  no waits.
/// Order:   as they happen.
/// Bound:   marks_max marks; texts of one stretch, which has stretch_max steps at most. A run of
///          more than marks_max * stretch_max steps has longer stretches, of which only the first
///          stretch_max steps are kept.
/// Errors:  none.
/// Threads: one.
class node_trace final : public nodes_listener {
 public:
  static constexpr std::size_t marks_max = 65'536;
  static constexpr std::uint64_t stretch_max = 4'096;

  /// `wanted`: whose steps are to be kept; `expected`: a run that has kept them, and that this one
  /// should repeat.
  explicit node_trace(stretch wanted = {}, const node_trace* expected = nullptr) noexcept
      : wanted_(wanted), expected_(expected) {}

  /// Of packets from now on.
  void count(packet_bytes what) noexcept { bytes_ = what; }
  void step(virtual_node& on, const detail::task_header& task) noexcept override;
  void arrives(virtual_nodes& at, const packet& what) noexcept override;

  std::uint64_t steps() const noexcept { return steps_; }
  packet_bytes counted() const noexcept { return bytes_; }
  /// Between two marks, the second of which differs; nothing when both runs are equal.
  static std::optional<stretch> parted(const node_trace& one, const node_trace& other);
  /// The first kept step that is not the expected one; UINT64_MAX: none.
  std::uint64_t parted_at() const noexcept { return parted_at_; }
  /// "00:03:12.000200 server: task 7 ...", with its stack; empty for steps that were not kept.
  std::string text_of(std::uint64_t step) const;

 private:
  template <class Text>
  void add(std::uint64_t what, Text text);
  std::uint64_t mark(std::uint64_t steps) const { return marks_[steps / distance_ - 1]; }

  stretch wanted_;
  const node_trace* expected_;
  packet_bytes bytes_ = packet_bytes::all;
  std::uint64_t hash_ = 0;
  std::uint64_t steps_ = 0;
  std::uint64_t distance_ = 1;  // of two marks
  std::vector<std::uint64_t> marks_;
  std::vector<std::uint64_t> hashes_;  // of the wanted steps
  std::vector<std::string> texts_;     // the same; all, or up to the one that differs
  std::uint64_t parted_at_ = UINT64_MAX;
};

/// A run that can be made again.
///
/// Cancel:  no waits.
/// Order:   one run after the other.
/// Bound:   as the run's.
/// Errors:  its own.
/// Threads: one.
class repeated_run {
 public:
  /// All of it, heard by `trace`.
  virtual void run(node_trace& trace) = 0;

 protected:
  ~repeated_run() = default;
};

/// What two runs that should be one came to.
struct run_parting {
  std::uint64_t steps = 0;  // of the first
  packet_bytes compared = packet_bytes::all;
  std::string text = {};  // empty: they were the same; else where they part, and both stacks
};
/// Makes two runs, and more when they differ, `tries_max` pairs at most: something that decides by
/// itself may decide the same for a while.
run_parting part_of_two(repeated_run& what, std::uint32_t tries_max = 10);

}  // namespace weir
