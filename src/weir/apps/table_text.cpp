#include <weir/apps/table_text.hpp>

#include <weir/base/assert.hpp>
#include <weir/wire/utf8.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

namespace weir {

namespace {

/// Characters of UTF-8: bytes that don't continue one.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

/// Of the first character, if it is one of UTF-8; else 1.
std::size_t character_bytes(std::string_view text) {
  const auto first = static_cast<unsigned char>(text.front());
  const std::size_t size = first < 0xc2   ? 1
                           : first < 0xe0 ? 2
                           : first < 0xf0 ? 3
                           : first < 0xf5 ? 4
                                          : 1;
  return size <= text.size() && is_utf8(text.substr(0, size)) ? size : 1;
}

/// What turns the direction of a text, so that it reads as another one, or ends its line: U+061C,
/// U+200E, U+200F, U+2028 to U+202E, U+2066 to U+206F.
bool is_turner(std::string_view character) {
  if (character == "\u061c") return true;
  if (character.size() != 3) return false;
  const bool is_first = character >= "\u200e" && character <= "\u200f";
  const bool is_second = character >= "\u2028" && character <= "\u202e";
  return is_first || is_second || (character >= "\u2066" && character <= "\u206f");
}

/// False for what a terminal may obey: the controls of ASCII and those from U+0080 to U+009F,
/// bytes that are no character, which some terminals take for those, and what turns a text.
bool is_shown(std::string_view character) {
  const auto first = static_cast<unsigned char>(character.front());
  if (character.size() == 1) return first >= 0x20 && first < 0x7f;
  if (is_turner(character)) return false;
  return first != 0xc2 || static_cast<unsigned char>(character[1]) >= 0xa0;
}

void append_cell(std::string& line, std::string_view cell, std::size_t width, column_align align) {
  const std::size_t fill = width - width_of(cell);
  if (align == column_align::right) line.append(fill, ' ');
  line += cell;
  if (align == column_align::left) line.append(fill, ' ');
}

}  // namespace

void table_text::add(std::vector<std::string> row) {
  WEIR_ASSERT(row.size() == columns_.size());
  for (std::string& cell : row) cell = printable(cell);
  rows_.push_back(std::move(row));
}

std::string table_text::text() const {
  std::vector<std::size_t> widths;
  for (std::size_t at = 0; at < columns_.size(); ++at) {
    std::size_t width = width_of(columns_[at].title);
    for (const auto& row : rows_) width = std::max(width, width_of(row[at]));
    widths.push_back(width);
  }
  std::string out;
  const auto append_line = [&](const auto& cell_at) {
    std::string line;
    for (std::size_t at = 0; at < columns_.size(); ++at) {
      if (at > 0) line += "  ";
      append_cell(line, cell_at(at), widths[at], columns_[at].align);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + '\n';
  };
  append_line([&](std::size_t at) { return columns_[at].title; });
  for (const auto& row : rows_) {
    append_line([&](std::size_t at) { return std::string_view(row[at]); });
  }
  return out;
}

std::string format_bytes(std::uint64_t bytes) {
  constexpr std::array<std::string_view, 5> units{"KiB", "MiB", "GiB", "TiB", "PiB"};
  if (bytes < 1024) return fmt::format("{} B", bytes);
  double amount = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (amount /= 1024; amount >= 999.5 && unit + 1 < units.size(); ++unit) amount /= 1024;
  return amount < 9.95 ? fmt::format("{:.1f} {}", amount, units[unit])
                       : fmt::format("{:.0f} {}", amount, units[unit]);
}

std::string printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t size = character_bytes(text);
    if (is_shown(text.substr(0, size))) {
      out.append(text, 0, size);
    } else {
      out += '?';
    }
    text.remove_prefix(size);
  }
  return out;
}

}  // namespace weir
