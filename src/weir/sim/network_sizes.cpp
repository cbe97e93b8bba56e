#include <weir/sim/network_sizes.hpp>

#include <fmt/format.h>

#include <span>

namespace weir {

namespace {

// From large to small, so that shrinking finds the largest one that is still too small.
constexpr std::size_t buffers[] = {4096, 512, 64, 1};
constexpr std::size_t queues[] = {8, 2, 1};

/// In the order in which they are drawn.
struct drawn_size {
  std::size_t network_sizes::* which;
  std::span<const std::size_t> smaller;
  const char* text;
  const char* unit;
};
constexpr drawn_size all_sizes[] = {
    {&network_sizes::socket_buffer, buffers, "socket buffers", " byte"},
    {&network_sizes::pipe_buffer, buffers, "pipe buffers", " byte"},
    {&network_sizes::accept_queue, queues, "accept queues", " connection"},
};

std::string text_of(const drawn_size& what, std::size_t size) {
  return fmt::format("{} of {}{}{}", what.text, size, what.unit, size == 1 ? "" : "s");
}

}  // namespace

network_sizes draw_sizes(choices& from, const network_sizes& plain) {
  network_sizes drawn = plain;
  for (const drawn_size& one : all_sizes) {
    std::uint64_t proposed = 0;
    if (!from.is_replay()) {
      random_source& lot = from.stream(choice_kind::size);
      if (lot.below(2) == 1) proposed = 1 + lot.below(one.smaller.size());
      // What is not smaller here would be told as if it were.
      if (proposed != 0 && one.smaller[proposed - 1] >= plain.*one.which) proposed = 0;
    }
    const std::uint64_t n = one.smaller.size() + 1;
    const std::uint64_t index = from.decide(choice_kind::size, n, proposed);
    if (index != 0) drawn.*one.which = std::min(plain.*one.which, one.smaller[index - 1]);
  }
  return drawn;
}

std::string size_text(const choice& made) {
  if (made.index >= std::size(all_sizes) || made.value == 0) return {};
  const drawn_size& what = all_sizes[made.index];
  return text_of(what, what.smaller[std::min<std::size_t>(made.value, what.smaller.size()) - 1]);
}

std::string size_text(const network_sizes& drawn, const network_sizes& plain) {
  std::string text;
  for (const drawn_size& one : all_sizes) {
    if (drawn.*one.which >= plain.*one.which) continue;
    if (!text.empty()) text += ", ";
    text += text_of(one, drawn.*one.which);
  }
  return text;
}

}  // namespace weir
