#include <weir/sim/probe_book.hpp>

#include <weir/base/program_here.hpp>
#include <weir/sim/run_story.hpp>

#include <fmt/format.h>

namespace weir {

bool probe_book::maybe(const char* name, std::source_location place) noexcept {
  const detail::world_runs asked;
  if (!includes_own_ && std::string_view(name).starts_with("weir: ")) return false;
  auto found = maybes_.find(std::string_view(name));
  if (found == maybes_.end()) {
    found =
        maybes_.emplace(name, maybe_entry{.counts = {.name = name, .place = place}, .is_on = {}})
            .first;
  }
  maybe_entry& one = found->second;
  if (!one.is_on) one.is_on = decides(on_chance, "can be true in this run", name, place);
  const bool is_taken = *one.is_on && decides(true_chance, "is true", name, place);
  ++one.counts.reached;
  one.counts.met += is_taken ? 1 : 0;
  return is_taken;
}

// A decision of its own kind, which is told by the name of what it is about.
bool probe_book::decides(double chance, const char* what, const char* name,
                         std::source_location place) {
  choice made{.kind = choice_kind::maybe,
              .index = choices_.count(choice_kind::maybe),
              .machine = choices_.machine()};
  if (!choices_.chance(made.kind, chance)) return false;
  made.value = 1;
  if (taken_.size() < taken_max)
    taken_.push_back({made, fmt::format("maybe(\"{}\") at {} {}", name, place_text(place), what)});
  return true;
}

void probe_book::sometimes(bool condition, const char* name, std::source_location place) noexcept {
  const detail::world_runs told;
  auto found = sometimes_.find(std::string_view(name));
  if (found == sometimes_.end()) {
    found = sometimes_.emplace(name, entry{.name = name, .place = place}).first;
  }
  ++found->second.reached;
  found->second.met += condition ? 1 : 0;
}

std::vector<probe_book::entry> probe_book::seen() const {
  std::vector<entry> all;
  all.reserve(sometimes_.size());
  for (const auto& [name, one] : sometimes_) all.push_back(one);
  return all;
}

std::vector<probe_book::entry> probe_book::asked() const {
  std::vector<entry> all;
  all.reserve(maybes_.size());
  for (const auto& [name, one] : maybes_) all.push_back(one.counts);
  return all;
}

}  // namespace weir
