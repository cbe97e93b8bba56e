// Texts that many messages share, kept once: when a worker is down, a million messages have the
// same last error.
#pragma once

#include <weir/broker/spare_nodes.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace weir::detail {

/// Counted texts by number; 0 is the empty text.
///
/// Cancel:  plain data structure, no waits.
/// Order:   none.
/// Bound:   `bytes_max` of distinct texts; beyond it a new text is dropped and its number is 0.
/// Errors:  std::bad_alloc from keep().
/// Threads: one loop.
class text_pool {
 public:
  explicit text_pool(std::size_t bytes_max) noexcept : bytes_max_(bytes_max) {}

  /// Memory for `count` texts more, of which make() says what they are, in the order in which they
  /// will be kept. So many calls of keep() with them don't fail.
  void make_room(std::size_t count);
  void make(std::string_view text);
  /// The number of the text, counted once more.
  std::uint32_t keep(std::string_view text);
  /// Counts it once less; the text goes with its last user.
  void drop(std::uint32_t number) noexcept;
  /// The text of a number; lasts as long as the number is counted.
  std::string_view text(std::uint32_t number) const noexcept;
  std::size_t bytes() const noexcept { return bytes_; }

 private:
  using index = std::map<std::string, std::uint32_t, std::less<>>;
  struct entry {
    index::iterator where;
    std::uint32_t users = 0;
  };
  index::node_type node_of(std::string_view text);

  std::size_t bytes_max_;
  std::size_t bytes_ = 0;
  index index_;
  std::vector<entry> entries_;  // the text of number n is at n - 1
  std::vector<std::uint32_t> free_;
  std::vector<index::node_type> made_;  // made room: the next texts
  std::size_t next_made_ = 0;
};

}  // namespace weir::detail
