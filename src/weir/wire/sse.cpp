#include <weir/wire/sse.hpp>

#include <weir/base/error.hpp>
#include <weir/wire/utf8.hpp>

#include <algorithm>
#include <cstddef>

namespace weir {

namespace {
constexpr std::string_view line_breakers("\r\n\0", 3);

void append_field(std::string& out, std::string_view name, std::string_view value) {
  ((out += name) += ": ") += value;  // the space is not part of the value, and keeps one that is
  out += '\n';
}
}  // namespace

void append_event(std::string& out, const sse_event& event) {
  for (std::string_view name : {event.event, event.id}) {
    if (name.find_first_of(line_breakers) != std::string_view::npos) {
      raise(error(errc::invalid_argument, "the name and id of an event are one line of text"));
    }
  }
  for (std::string_view text : {event.event, event.id, event.data}) {
    if (!is_utf8(text)) raise(error(errc::invalid_argument, "server-sent events are UTF-8 only"));
  }
  if (!event.event.empty()) append_field(out, "event", event.event);
  if (!event.id.empty()) append_field(out, "id", event.id);
  std::string_view rest = event.data;
  while (true) {  // at least one line: an event without data is not dispatched
    const std::size_t end = std::min(rest.find_first_of("\r\n"), rest.size());
    append_field(out, "data", rest.substr(0, end));
    if (end == rest.size()) break;
    rest.remove_prefix(end + (rest.substr(end).starts_with("\r\n") ? 2 : 1));
  }
  out += '\n';
}

void append_retry(std::string& out, std::uint32_t milliseconds) {
  append_field(out, "retry", std::to_string(milliseconds));
  out += '\n';
}

}  // namespace weir
