#include <weir/broker/text_pool.hpp>

#include <weir/base/assert.hpp>

namespace weir::detail {

std::uint32_t text_pool::keep(std::string_view text) {
  if (text.empty()) return 0;
  if (const auto found = index_.find(text); found != index_.end()) {
    ++entries_[found->second - 1].users;
    return found->second;
  }
  if (text.size() > bytes_max_ - bytes_) return 0;
  if (free_.empty()) {
    entries_.emplace_back();
    free_.reserve(entries_.capacity());
    free_.push_back(static_cast<std::uint32_t>(entries_.size()));
  }
  const std::uint32_t number = free_.back();
  entries_[number - 1] = {index_.emplace(text, number).first, 1};
  free_.pop_back();
  bytes_ += text.size();
  return number;
}

void text_pool::drop(std::uint32_t number) noexcept {
  if (number == 0) return;
  entry& of = entries_[number - 1];
  WEIR_ASSERT(of.users > 0);
  if (--of.users > 0) return;
  bytes_ -= of.where->first.size();
  index_.erase(of.where);
  free_.push_back(number);
}

std::string_view text_pool::text(std::uint32_t number) const noexcept {
  return number == 0 ? std::string_view() : std::string_view(entries_[number - 1].where->first);
}

}  // namespace weir::detail
