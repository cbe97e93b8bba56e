// The queues by number. Numbers are never used again, so over a life of years the table is long and
// nearly empty: it is a list of pages, and a page goes when its last queue does. A hash table was
// no choice: each message looks its queue up, and here that is two loads.
#pragma once

#include <weir/broker/message_queue.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace weir::detail {

/// Queues by number.
///
/// Cancel:  plain data structure, no waits.
/// Order:   each() goes by rising number.
/// Bound:   32 KiB for 4,096 numbers of which one is in use, 16 bytes for as many that are not; the
///          caller bounds the queues.
/// Errors:  std::bad_alloc.
/// Threads: one loop.
class queue_table {
 public:
  /// The queue with this number, made when it is not there.
  message_queue& make(std::uint32_t number) {
    if (message_queue* const found = find(number)) return *found;
    auto made = std::make_unique<message_queue>();
    make_room(number);
    return put(number, std::move(made));
  }

  /// Memory for the place of this number, so that put() does not fail.
  void make_room(std::uint32_t number) {
    const std::size_t at = number / page_queues;
    if (pages_.size() <= at) pages_.resize(at + 1);
    if (!pages_[at].queues) pages_[at].queues = std::make_unique<slots>();
  }

  /// Takes in a queue whose number is not in use, where room was made for it.
  message_queue& put(std::uint32_t number, std::unique_ptr<message_queue> made) noexcept {
    page& in = pages_[number / page_queues];
    auto& slot = (*in.queues)[number % page_queues];
    slot = std::move(made);
    slot->number = number;
    ++in.used;
    return *slot;
  }

  void erase(std::uint32_t number) noexcept {
    if (!find(number)) return;
    page& in = pages_[number / page_queues];
    (*in.queues)[number % page_queues].reset();
    if (--in.used == 0) in.queues.reset();
  }

  /// Null when there is none.
  message_queue* find(std::uint32_t number) const noexcept {
    const std::size_t at = number / page_queues;
    if (at >= pages_.size() || !pages_[at].queues) return nullptr;
    return (*pages_[at].queues)[number % page_queues].get();
  }

  /// The first queue with this number or a higher one; null when there is none.
  message_queue* next(std::uint32_t number) const noexcept {
    std::size_t within = number % page_queues;
    for (std::size_t at = number / page_queues; at < pages_.size(); ++at, within = 0) {
      if (!pages_[at].queues) continue;
      for (; within < page_queues; ++within) {
        if (message_queue* const found = (*pages_[at].queues)[within].get()) return found;
      }
    }
    return nullptr;
  }

  template <class Visit>
  void each(Visit&& visit) const {
    for (const page& in : pages_) {
      if (!in.queues) continue;
      for (const auto& slot : *in.queues) {
        if (slot) visit(*slot);
      }
    }
  }

  std::size_t memory_bytes() const noexcept {
    std::size_t bytes = pages_.capacity() * sizeof(page);
    for (const page& in : pages_)
      bytes += in.queues ? sizeof(slots) + in.used * sizeof(message_queue) : 0;
    return bytes;
  }

 private:
  static constexpr std::uint32_t page_queues = 4'096;
  using slots = std::array<std::unique_ptr<message_queue>, page_queues>;
  struct page {
    std::unique_ptr<slots> queues;  // null: none of these numbers is in use
    std::uint32_t used = 0;
  };

  std::vector<page> pages_;
};

}  // namespace weir::detail
