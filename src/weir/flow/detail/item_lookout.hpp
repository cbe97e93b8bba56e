// How long a receiver looks for the next item before it stands in line, and waits before it looks,
// between loops. The hard idea: to stand in line and to be told of an item costs a post and a turn
// of the loop, some 250 ns; an answer that is on its way is there in half of that. But who looks at
// once takes the items of a stream one by one, and each look takes the line of the cache away from
// the sender. So a look comes later while a few items have gathered by then, and sooner while it
// was one, or none, or many: a stream is taken in heaps, an answer when it comes, and whoever falls
// behind does not wait.
#pragma once

#include <weir/base/pause_processor.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace weir::detail {

/// One for all receivers of a channel. What one notes while another does is lost, which costs
/// nothing but a look too many, or a pause too long.
class item_lookout {
 public:
  /// Where items come in heaps that are worth it: lets one gather, if `may_wait`, before a look.
  template <class MayWait>
  void lets_gather(MayWait may_wait) noexcept {
    const int first = first_.load(std::memory_order_relaxed);
    if (first < worth_waiting || !may_wait()) return;
    for (int i = 0; i != first; ++i) pause_processor();
  }
  /// A look at the items has found so many.
  void note_heap(std::size_t there) noexcept {
    const int first = first_.load(std::memory_order_relaxed);
    const bool is_small_heap = there > 1 && there < heap_enough;
    note(first_, is_small_heap ? std::min(first * 2, first_max) : std::max(first / 2, 1));
  }
  /// True when `sees_item` did within a moment. Where it hardly ever does, it is not asked.
  template <class Look>
  bool finds(Look sees_item) noexcept {
    const int trust = trust_.load(std::memory_order_relaxed);
    if (trust == 0 && !is_due()) return false;
    const int first = first_.load(std::memory_order_relaxed);
    for (int waited = 0, pauses = first; waited < pauses_max; pauses = 1) {
      for (int i = 0; i != pauses; ++i) pause_processor();
      waited += pauses;
      if (!sees_item()) continue;
      note(trust_, std::min(trust + 2, trust_max));
      return true;
    }
    note(trust_, std::max(trust - 1, 0));
    return false;
  }

 private:
  static constexpr int pauses_max = 48;  // one or two microseconds
  static constexpr int first_max = 32;
  static constexpr std::size_t heap_enough = 32;  // items, among which a look costs little
  static constexpr int worth_waiting = 8;         // pauses: the step's budget pays for each wait
  static constexpr int trust_max = 8;
  static constexpr std::uint32_t tries_every = 64;

  // Senders read what stands beside it: a line that is written has to go over again.
  static void note(std::atomic<std::uint8_t>& in, int value) noexcept {
    const auto fresh = static_cast<std::uint8_t>(value);
    if (in.load(std::memory_order_relaxed) != fresh) in.store(fresh, std::memory_order_relaxed);
  }
  bool is_due() noexcept {
    const std::uint32_t skipped = skipped_.load(std::memory_order_relaxed) + 1;
    skipped_.store(skipped, std::memory_order_relaxed);
    return skipped % tries_every == 0;
  }

  std::atomic<std::uint8_t> first_{1};  // pauses before the first look
  std::atomic<std::uint8_t> trust_{0};  // in that an item comes
  std::atomic<std::uint32_t> skipped_{0};
};

}  // namespace weir::detail
