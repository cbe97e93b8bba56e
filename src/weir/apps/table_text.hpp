// Aligned columns for people. Programs ask for --json instead, so this may change at any time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weir {

enum class column_align : unsigned char { left, right };

struct table_column {
  std::string_view title;
  column_align align = column_align::left;
};

/// Rows of text under titles, each column as wide as its widest cell (in characters of UTF-8).
class table_text {
 public:
  explicit table_text(std::vector<table_column> columns) : columns_(std::move(columns)) {}

  /// One cell a column. Control characters are shown as '?', so that no cell can write elsewhere.
  void add(std::vector<std::string> row);
  /// Lines without spaces at their ends.
  std::string text() const;

 private:
  std::vector<table_column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

/// "1.5 MiB": three digits at most before the unit.
std::string format_bytes(std::uint64_t bytes);
/// `text` with control characters replaced by '?': for a terminal.
std::string printable(std::string_view text);

}  // namespace weir
