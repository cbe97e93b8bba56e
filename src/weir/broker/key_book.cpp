#include <weir/broker/key_book.hpp>

#include <weir/base/defect.hpp>

#include <cstring>
#include <string>

namespace weir::detail {

key_digest digest_of(hash_key secret, std::uint32_t queue, std::string_view key) {
  char number[sizeof(queue)];
  if (is_planted("broker: knows a key in all queues")) queue = 0;
  std::memcpy(number, &queue, sizeof(queue));
  std::string text(number, sizeof(number));
  text.append(key);
  const hash_key other{~secret.low, secret.high};
  return {siphash(secret, text), siphash(other, text)};
}

std::optional<std::uint64_t> key_book::find(key_digest digest, time_point now) const noexcept {
  const std::uint32_t slot = table_.find(slab_, digest.first);
  if (slot == no_slot) return std::nullopt;
  const used_key& found = slab_[slot];
  const bool is_over = found.until <= now.ns && !is_planted("broker: knows keys for ever");
  if (found.digest != digest || is_over) return std::nullopt;
  return found.sequence;
}

void key_book::remember(key_digest digest, std::uint64_t sequence, time_point until) {
  std::uint32_t slot = table_.find(slab_, digest.first);
  if (slot != no_slot) {
    order_.erase(slab_, slot);
  } else {
    slot = slab_.take();
    slab_[slot].digest = digest;
    slab_[slot].sequence = sequence;
    table_.insert(slab_, slot);
  }
  used_key& item = slab_[slot];
  item.digest = digest;
  item.sequence = sequence;
  item.until = until.ns;
  order_.insert(slab_, slot);
}

void key_book::forget_until(time_point now, std::size_t max) noexcept {
  for (std::size_t i = 0; i < max; ++i) {
    const std::uint32_t slot = order_.first(slab_);
    if (slot == no_slot || slab_[slot].until > now.ns) return;
    order_.erase(slab_, slot);
    table_.erase(slab_, slot);
    slab_.give(slot);
  }
}

}  // namespace weir::detail
