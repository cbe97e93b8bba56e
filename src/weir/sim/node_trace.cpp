#include <weir/sim/node_trace.hpp>

#include <weir/base/hash.hpp>
#include <weir/core/dump.hpp>
#include <weir/core/frame.hpp>
#include <weir/sim/run_story.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace weir {

namespace {

// Where a task goes on, without the address of anything.
std::uint64_t place_of(const detail::task_header& task) noexcept {
  detail::stack_line innermost[2];
  const std::size_t count = detail::read_stack(task, innermost, std::size(innermost));
  std::uint64_t place = task.here.line();
  for (std::size_t i = 0; i < count; ++i) {
    place = (place << 16) ^ innermost[i].here.line();
  }
  return place;
}

}  // namespace

template <class Text>
void node_trace::add(std::uint64_t what, Text text) {
  hash_ = mix(hash_ ^ what);
  const std::uint64_t step = steps_++;
  if (steps_ % distance_ == 0) marks_.push_back(hash_);
  if (marks_.size() == marks_max) {
    for (std::size_t i = 0; i < marks_max / 2; ++i) marks_[i] = marks_[2 * i + 1];
    marks_.resize(marks_max / 2);
    distance_ *= 2;
  }
  const bool is_wanted = step >= wanted_.first && step < wanted_.last;
  if (!is_wanted || hashes_.size() == stretch_max || parted_at_ != UINT64_MAX) return;
  const std::size_t nth = hashes_.size();
  hashes_.push_back(hash_);
  texts_.push_back(text());
  if (!expected_ || nth >= expected_->hashes_.size()) return;
  if (expected_->hashes_[nth] != hash_) parted_at_ = step;
}

void node_trace::step(virtual_node& on, const detail::task_header& task) noexcept {
  const std::uint64_t time = static_cast<std::uint64_t>(on.all().elapsed().ns);
  const std::uint64_t who = task.id ^ std::uint64_t{on.host()} << 32;
  add(mix(who ^ mix(time ^ mix(place_of(task)))), [&] {
    return fmt::format("{} {}: {}", clock_text(on.all().elapsed()), on.name(), stack_of(task));
  });
}

void node_trace::arrives(virtual_nodes& at, const packet& what) noexcept {
  const std::uint64_t time = static_cast<std::uint64_t>(at.elapsed().ns);
  const std::uint64_t ends = std::uint64_t{what.from} << 32 ^ what.to;
  const std::uint64_t kind = static_cast<std::uint64_t>(what.kind) << 56 ^ what.connection;
  const std::uint64_t size = what.data.size();
  const std::uint64_t bytes = bytes_ == packet_bytes::all ? siphash({}, what.data) : size;
  const std::uint64_t content = bytes ^ mix(what.number);
  add(mix(time ^ mix(ends ^ mix(kind ^ mix(content)))), [&] {
    return fmt::format("{} a packet from {:x} to {:x}, of connection {}, with {} bytes",
                       clock_text(at.elapsed()), what.from, what.to, what.connection, size);
  });
}

std::optional<stretch> node_trace::parted(const node_trace& one, const node_trace& other) {
  const std::uint64_t distance = std::max(one.distance_, other.distance_);
  const std::uint64_t both = std::min(one.steps_, other.steps_);
  std::uint64_t at = 0;
  for (; at + distance <= both; at += distance) {
    if (one.mark(at + distance) != other.mark(at + distance)) return stretch{at, at + distance};
  }
  if (one.steps_ == other.steps_ && one.hash_ == other.hash_) return std::nullopt;
  return stretch{at, at + distance};
}

std::string node_trace::text_of(std::uint64_t step) const {
  if (step < wanted_.first || step - wanted_.first >= texts_.size()) return {};
  return texts_[static_cast<std::size_t>(step - wanted_.first)];
}

run_parting part_of_two(repeated_run& what, std::uint32_t tries_max) {
  node_trace first;
  what.run(first);
  node_trace second;
  what.run(second);
  run_parting made{.steps = first.steps(), .compared = first.counted()};
  std::optional<stretch> where = node_trace::parted(first, second);
  if (!where) return made;
  for (std::uint32_t tries = 0; tries < tries_max; ++tries) {
    node_trace one(*where);
    what.run(one);
    node_trace other(*where, &one);
    what.run(other);
    // This pair may part elsewhere than the one before, or not at all.
    const std::optional<stretch> again = node_trace::parted(one, other);
    const std::uint64_t step = other.parted_at();
    if (again && again->first == where->first && step != UINT64_MAX) {
      made.text = fmt::format("two runs part at step {}\n  one:   {}\n  other: {}\n", step + 1,
                              one.text_of(step), other.text_of(step));
      return made;
    }
    if (again && again->first == where->first && one.steps() != other.steps()) {
      made.text =
          fmt::format("two runs are the same up to where one of them ends: {} and {} steps\n",
                      one.steps(), other.steps());
      return made;
    }
    if (again) where = again;
  }
  made.text =
      fmt::format("two runs part between the steps {} and {}; {} pairs more did not there\n",
                  where->first + 1, where->last, tries_max);
  return made;
}

}  // namespace weir
