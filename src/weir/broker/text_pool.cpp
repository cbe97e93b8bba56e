#include <weir/broker/text_pool.hpp>

#include <weir/base/assert.hpp>

#include <algorithm>
#include <utility>

namespace weir::detail {

void text_pool::make_room(std::size_t count) {
  if (entries_.size() + count > entries_.capacity()) {
    entries_.reserve(std::max(entries_.size() + count, 2 * entries_.capacity()));
  }
  free_.reserve(entries_.capacity());
  made_.clear();
  next_made_ = 0;
  made_.reserve(count);
}

void text_pool::make(std::string_view text) {
  if (!text.empty() && text.size() <= bytes_max_) made_.push_back(made_node<index>(text, 0));
}

// Texts are kept in the order in which they were made; some were there already.
text_pool::index::node_type text_pool::node_of(std::string_view text) {
  while (next_made_ < made_.size()) {
    index::node_type next = std::move(made_[next_made_++]);
    if (next.key() == text) return next;
  }
  return made_node<index>(text, 0);
}

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
  index::node_type node = node_of(text);
  node.mapped() = number;
  entries_[number - 1] = {index_.insert(std::move(node)).position, 1};
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
