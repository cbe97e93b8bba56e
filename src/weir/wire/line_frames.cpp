#include <weir/wire/line_frames.hpp>

#include <weir/base/line_place.hpp>

#include <fmt/format.h>

namespace weir {

std::unexpected<error> line_frames::too_large() const {
  return fail(errc::too_large,
              fmt::format("a line is longer than the limit of {} bytes", bytes_max_));
}

result<frame_place> line_frames::find(std::string_view have, std::size_t seen) const {
  const line_place found = find_line(have, seen, bytes_max_);
  if (found.state == line_state::too_long) return too_large();
  if (found.state == line_state::unfinished) return frame_place{};
  return frame_place{true, 0, found.size, found.total};
}

result<frame_place> line_frames::find_last(std::string_view have) const {
  if (have.size() > bytes_max_) return too_large();
  return frame_place{true, 0, have.size(), have.size()};
}

result<frame_edges> line_frames::around(std::string_view line) const {
  if (line.size() > bytes_max_) return too_large();
  if (line.find('\n') != std::string_view::npos) {
    return fail(errc::invalid_argument, "a line with a line end in it would be read as several");
  }
  if (!line.empty() && line.back() == '\r' && ends_with_ == line_end::lf) {
    return fail(errc::invalid_argument, "a line that ends with a carriage return would lose it");
  }
  frame_edges edges;
  if (ends_with_ == line_end::crlf) edges.bytes[edges.tail_size++] = '\r';
  edges.bytes[edges.tail_size++] = '\n';
  return edges;
}

}  // namespace weir
