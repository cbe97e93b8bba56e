// Server-sent events (the HTML standard, section 9.2): a response that never ends carries events as
// lines of text. The hard idea: a line end inside a value would start a new field, so data is cut
// at its line ends and names with one are refused.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace weir {

inline constexpr std::string_view sse_content_type = "text/event-stream";
/// A comment: keeps proxies and time-outs from taking a quiet stream for a dead one.
inline constexpr std::string_view sse_keep_alive = ":\n\n";

struct sse_event {
  std::string_view event = {};  // its kind; empty for the default, "message"
  std::string_view id = {};     // what a client sends as Last-Event-ID; empty for none
  std::string_view data = {};   // any text in UTF-8; several lines arrive as several lines
};

/// Writes the event at the end of `out`. Throws invalid_argument for a line end or NUL in `event`
/// or `id`, and for text that is no UTF-8; `out` is then as it was.
void append_event(std::string& out, const sse_event& event);
/// Tells clients how long to wait before they connect again.
void append_retry(std::string& out, std::uint32_t milliseconds);

}  // namespace weir
