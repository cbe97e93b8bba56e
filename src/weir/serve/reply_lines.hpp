// Who may be called with a reply, host by host. The hard idea: a reply whose host has all its calls
// is kept as two numbers, not as a body, and hosts that may be called take turns for a free place;
// so a host that hangs holds up its own replies only.
#pragma once

#include <weir/base/intrusive.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace weir {

/// What names a reply of the broker.
struct reply_place {
  std::uint64_t sequence = 0;
  std::uint32_t token = 0;

  bool operator==(const reply_place&) const = default;
};

/// The scheme, host and port of a URL: whose calls are counted together. A text that is no URL
/// stands for itself.
std::string host_of_url(std::string_view url);

/// Counts calls by host, and keeps the lines of those that wait.
///
/// Cancel:  plain data structure, no waits.
/// Order:   replies to one host begin in the order of begin(); hosts with a line take turns.
/// Bound:   host_calls_max calls a host. What waits is bounded by broker_limits::replies_max, since
///          each is a reply that the broker has given out, 16 bytes each.
/// Errors:  std::bad_alloc from begin(), which has changed nothing then.
/// Threads: one loop.
class reply_lines {
 public:
  static constexpr std::uint32_t host_calls_max = 8;

  struct callable_tag {};
  struct host : list_hook<callable_tag> {
    const std::string* name = nullptr;
    std::uint32_t calls = 0;
    std::deque<reply_place> line;
  };
  struct turn {
    host* to = nullptr;
    reply_place what = {};
  };

  reply_lines() = default;
  reply_lines(const reply_lines&) = delete;
  reply_lines& operator=(const reply_lines&) = delete;
  ~reply_lines() { callable_.clear(); }

  /// The host, whose calls are one more now; null when it has all its calls, or others wait for it:
  /// then the reply is the last in its line.
  host* begin(std::string name, reply_place what);
  /// A call to the host has ended.
  void end(host* of) noexcept;
  /// The first of a line whose host may be called, which has one call more now.
  std::optional<turn> next() noexcept;

  std::size_t hosts() const noexcept { return hosts_.size(); }

 private:
  std::map<std::string, host> hosts_;  // those with calls or a line
  intrusive_list<host, callable_tag> callable_;
};

}  // namespace weir
