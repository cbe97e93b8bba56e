#include <weir/sim/choice.hpp>

#include <weir/base/program_here.hpp>
#include <weir/base/text.hpp>
#include <weir/sim/odometer.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace weir {

namespace {

struct kind_text {
  char letter;
  const char* name;
};
constexpr kind_text kind_texts[choice_kinds] = {
    {'p', "random number"}, {'t', "next task"}, {'x', "transfer"}, {'d', "disk"},
    {'n', "network"},       {'s', "select"},    {'m', "maybe"},    {'k', "knob"},
    {'o', "next machine"},  {'f', "fault"},     {'b', "size"},
};

const kind_text& text_of(choice_kind kind) noexcept {
  return kind_texts[static_cast<std::size_t>(kind)];
}

constexpr std::size_t recorded_expected = 4096;
constexpr std::uint32_t machines_max = 10'000;  // that a log may name

// Two streams of one seed share nothing.
std::uint64_t stream_of(std::uint32_t machine, std::uint64_t number) noexcept {
  return machine == 0 ? number : number + mix(machine);
}

// What a program draws when a log says nothing: the numbers of seed 0 rather than zeros, on which
// many a generator hangs.
std::uint64_t plain_bits(std::uint32_t machine, std::uint32_t index) noexcept {
  return mix(stream_of(machine, index));
}

// To one question; which of them is meant nobody can say.
bool has_two_answers(std::vector<choice> all) {
  for (choice& one : all) one.value = 0;
  std::ranges::sort(all);
  return std::ranges::adjacent_find(all) != all.end();
}

}  // namespace

const char* name(choice_kind kind) noexcept { return text_of(kind).name; }

std::string choice_log::text() const {
  std::string text;
  for (const choice& one : exceptions) {
    if (!text.empty()) text += ',';
    fmt::format_to(std::back_inserter(text), "{}{}", text_of(one.kind).letter, one.index);
    if (one.machine != 0) fmt::format_to(std::back_inserter(text), "@{}", one.machine);
    fmt::format_to(std::back_inserter(text), "={}", one.value);
  }
  return text;
}

std::optional<choice_log> choice_log::parse(std::string_view text) {
  choice_log log;
  if (text.ends_with(',')) return std::nullopt;  // the rest was cut off
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(','), text.size());
    const std::string_view one = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::size_t equals = one.find('=');
    if (one.empty() || equals == std::string_view::npos) return std::nullopt;
    const auto* kind = std::find_if(std::begin(kind_texts), std::end(kind_texts),
                                    [&](const kind_text& k) { return k.letter == one[0]; });
    const std::string_view place = one.substr(1, equals - 1);
    const std::size_t at = std::min(place.find('@'), place.size());
    const auto index = parse_number(place.substr(0, at), UINT32_MAX);
    const auto machine = parse_number(
        at == place.size() ? std::string_view("0") : place.substr(at + 1), machines_max);
    const auto value = parse_number(one.substr(equals + 1), UINT64_MAX);
    if (kind == std::end(kind_texts) || !index || !machine || !value) return std::nullopt;
    log.exceptions.push_back({.kind = static_cast<choice_kind>(kind - kind_texts),
                              .index = static_cast<std::uint32_t>(*index),
                              .value = *value,
                              .machine = static_cast<std::uint32_t>(*machine)});
  }
  if (has_two_answers(log.exceptions)) return std::nullopt;
  return log;
}

std::size_t choice_log::count(choice_kind kind) const noexcept {
  return static_cast<std::size_t>(
      std::count_if(exceptions.begin(), exceptions.end(),
                    [kind](const choice& one) { return one.kind == kind; }));
}

void choices::restart(std::uint64_t seed) noexcept {
  seed_ = seed;
  mode_ = mode::seed;
  has_own_tasks_ = false;
  is_recording_ = std::exchange(will_record_, false);
  if (is_recording_) recorded_.exceptions.reserve(recorded_expected);
  const auto begin = [](of_machine& one) {
    one.counts = {};
    for (auto& stream : one.streams) stream.reset();
  };
  begin(common_);
  for (of_machine& one : machines_) begin(one);
}

choices::of_machine& choices::at(std::uint32_t machine) {
  if (machine == 0) return common_;
  while (machines_.size() < machine) {
    const auto number = static_cast<std::uint32_t>(machines_.size() + 1);
    machines_.emplace_back().machine = number;
  }
  return machines_[machine - 1];
}

std::uint32_t choices::decide_for(std::uint32_t machine) {
  return std::exchange(here_, &at(machine))->machine;
}

void choices::begin_stream(std::optional<random_source>& one, choice_kind kind) noexcept {
  const std::uint64_t which = stream_of(here_->machine, static_cast<std::uint64_t>(kind));
  one.emplace(mix(seed_ + which));  // (2)
}

void choices::replay(const choice_log& log) {
  restart(0);
  mode_ = mode::replay;
  const auto for_each = [this](auto act) {
    act(common_);
    for (of_machine& one : machines_) act(one);
  };
  for_each([](of_machine& one) {
    one.next = {};
    for (auto& kind : one.replayed) kind.clear();
  });
  for (const choice& one : log.exceptions) {
    at(one.machine).replayed[static_cast<std::size_t>(one.kind)].push_back(one);
  }
  for_each([](of_machine& one) {
    for (auto& kind : one.replayed) std::sort(kind.begin(), kind.end());
  });
}

void choices::replay_but_for_tasks(const choice_log& log) {
  replay(log);
  has_own_tasks_ = true;
}

void choices::follow(odometer& all) noexcept {
  restart(0);
  mode_ = mode::odometer;
  all_ = &all;
  all.rewind();
}

choice_log choices::take_record() noexcept {
  is_recording_ = will_record_ = false;
  return std::exchange(recorded_, {});
}

std::int64_t choices::between(choice_kind kind, std::int64_t first, std::int64_t last) noexcept {
  WEIR_ASSERT(first <= last);
  const auto width = static_cast<std::uint64_t>(last) - static_cast<std::uint64_t>(first);
  if (width == 0) return first;
  WEIR_ASSERT(width != UINT64_MAX);
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(first) + below(kind, width + 1));
}

std::uint64_t choices::bits(choice_kind kind) noexcept {
  const std::uint32_t index = count(kind);
  const std::uint64_t plain = plain_bits(here_->machine, index);
  // As a difference, so that 0 is plain here too.
  const std::uint64_t drawn = is_replay() ? 0 : stream(kind).next() ^ plain;
  return decide(kind, UINT64_MAX, drawn) ^ plain;
}

std::uint64_t choices::decide_slowly(choice_kind kind, std::uint32_t index, std::uint64_t n,
                                     std::uint64_t proposed) noexcept {
  std::uint64_t value = proposed;
  if (mode_ == mode::replay && !(has_own_tasks_ && kind == choice_kind::task)) {
    const auto which = static_cast<std::size_t>(kind);
    const std::vector<choice>& all = here_->replayed[which];
    std::size_t& at = here_->next[which];
    while (at < all.size() && all[at].index < index) ++at;
    value = at < all.size() && all[at].index == index ? all[at].value : 0;
    // In a run that has become another one by shortening, the answer may be out of range.
    if (value >= n) value = n - 1;
  }
  if (mode_ == mode::odometer) value = all_->answer(kind, index, n, here_->machine);
  if (value == 0) return value;
  const detail::world_runs noting;
  const choice made{.kind = kind, .index = index, .value = value, .machine = here_->machine};
  if (is_recording_ && recorded_.exceptions.size() < recorded_max)
    recorded_.exceptions.push_back(made);
  if (listener_) listener_->decided(made);
  return value;
}

}  // namespace weir
