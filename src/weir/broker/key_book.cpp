#include <weir/broker/key_book.hpp>

#include <weir/base/defect.hpp>
#include <weir/broker/broker_command.hpp>

#include <cstring>
#include <string>

namespace weir::detail {

key_digest digest_of(hash_key secret, std::uint32_t queue, std::string_view key) {
  if (is_planted("broker: knows a key in all queues")) queue = 0;
  char few[sizeof(queue) + key_bytes_max];
  std::string many;  // for keys that are no longer allowed
  const std::size_t size = sizeof(queue) + key.size();
  if (size > sizeof(few)) many.resize(size);
  char* const text = many.empty() ? few : many.data();
  std::memcpy(text, &queue, sizeof(queue));
  std::memcpy(text + sizeof(queue), key.data(), key.size());
  const std::string_view whole(text, size);
  const hash_key other{~secret.low, secret.high};
  return {siphash(secret, whole), siphash(other, whole)};
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
