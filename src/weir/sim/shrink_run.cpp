#include <weir/sim/shrink_run.hpp>

#include <weir/base/text.hpp>
#include <weir/sim/shrink.hpp>
#include <weir/sim/turns.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <utility>

namespace weir {

std::string run_name::text() const {
  if (log) return "log:" + log->text();
  if (how == strategy::in_order) return name(how);
  return fmt::format("{}:{}", name(how), seed);
}

std::optional<run_name> run_name::parse(std::string_view text) {
  const std::size_t colon = std::min(text.find(':'), text.size());
  const std::string_view head = text.substr(0, colon);
  const std::string_view rest = text.substr(std::min(colon + 1, text.size()));
  if (head == "log" && colon != text.size()) {
    auto log = choice_log::parse(rest);
    if (!log) return std::nullopt;
    return run_name{.log = std::move(log)};
  }
  for (std::size_t i = 0; i < strategy_count; ++i) {
    const auto how = static_cast<strategy>(i);
    if (head != name(how)) continue;
    if (how == strategy::in_order && rest.empty()) return run_name{};
    const auto seed = parse_number(rest);
    if (!seed) return std::nullopt;
    return run_name{.how = how, .seed = *seed};
  }
  return std::nullopt;
}

namespace {

// So many are all tried, wherever they are.
constexpr std::size_t few_exceptions = 2;

// A log of one switch to the task behind that fails, too, tried at each step of each machine; or
// the one that there was.
choice_log with_one_switch(choice_log best, run_trials& trials, const shrink_options& options,
                           std::uint64_t& runs) {
  const std::vector<std::uint64_t> lengths = trials.lengths();
  std::uint64_t tries = options.runs_max;
  for (std::size_t at = 0; at < lengths.size(); ++at) {
    for (std::uint32_t step = 0; step < lengths[at] && best.exceptions.size() > 1; ++step) {
      if (tries-- == 0) return best;
      ++runs;
      choice_log used;
      const choice_log one{
          {{.kind = choice_kind::task,
            .index = step,
            .value = 1,
            .machine = options.is_alone ? 0 : static_cast<std::uint32_t>(at + 1)}}};
      if (trials.fails({.log = one}, nullptr, used, nullptr) && used.exceptions.size() == 1) {
        best = std::move(used);
      }
    }
  }
  return best;
}

// A log whose tasks take fewer turns; or the one that there was. A log of few exceptions is tried
// otherwise, and a long run would take long.
choice_log with_fewer_turns(choice_log best, run_trials& trials, const shrink_options& options,
                            std::uint64_t& runs) {
  constexpr std::uint64_t steps_joined_max = 10'000;
  if (!options.is_alone || best.exceptions.size() <= few_exceptions) return best;
  const run_name which{.log = best};
  schedule_trace as_it_is;
  as_it_is.keeps_notes = true;
  choice_log same;
  trials.fails(which, nullptr, same, &as_it_is);
  if (as_it_is.steps() > steps_joined_max) return best;
  struct trial final : turn_trial {
    trial(run_trials& by, const run_name& of) noexcept : trials(by), which(of) {}
    bool fails(const std::vector<std::uint64_t>& order, choice_log& used,
               std::vector<task_turn>& turns) override {
      schedule_trace seen;
      seen.keeps_notes = true;
      const bool has_failed = trials.fails(which, &order, used, &seen);
      turns = turns_of(seen);
      return has_failed;
    }
    run_trials& trials;
    const run_name& which;
  } once(trials, which);
  return join_turns(std::move(best), turns_of(as_it_is), once, options.runs_max, runs);
}

}  // namespace

choice_log shrink_run(choice_log from, run_trials& trials, const shrink_options& options,
                      std::uint64_t& runs) {
  struct trial final : shrink_trial {
    explicit trial(run_trials& by) noexcept : trials(by) {}
    bool fails(const choice_log& log, choice_log& used) override {
      return trials.fails({.log = log}, nullptr, used, nullptr);
    }
    run_trials& trials;
  } once(trials);
  choice_log best = shrink(std::move(from), once, options.runs_max, runs);
  for (std::size_t before = SIZE_MAX; best.exceptions.size() < before;) {
    before = best.exceptions.size();
    best = with_fewer_turns(std::move(best), trials, options, runs);
    if (best.exceptions.size() < before)
      best = shrink(std::move(best), once, options.runs_max, runs);
  }
  // Taking away can end where only another way would be shorter. One switch to the task behind is
  // tried at each step, and few exceptions are all tried as far as there are runs.
  best = with_one_switch(std::move(best), trials, options, runs);
  for (std::uint32_t few = 1; few <= few_exceptions && few < best.exceptions.size(); ++few) {
    odometer all(few);
    for (std::uint64_t n = 0; n < options.runs_max; ++n) {
      ++runs;
      if (trials.fails(all)) return all.log();
      if (!all.advance()) break;
    }
  }
  return best;
}

}  // namespace weir
