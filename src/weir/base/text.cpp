#include <weir/base/text.hpp>

#include <charconv>
#include <system_error>

namespace weir {

namespace {
struct duration_unit {
  std::string_view name;
  std::int64_t ns;
};
// Largest first: the order that parse_duration demands and format_duration writes.
constexpr duration_unit units[] = {{"d", 86'400'000'000'000},
                                   {"h", 3'600'000'000'000},
                                   {"m", 60'000'000'000},
                                   {"s", 1'000'000'000},
                                   {"ms", 1'000'000},
                                   {"us", 1'000},
                                   {"ns", 1}};
constexpr std::int64_t duration_ns_max = std::int64_t(36'500) * 86'400'000'000'000;  // 100 years
constexpr std::size_t quoted_bytes_max = 64;  // of a refused text inside an error message

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// A refused text as a message shows it: short, and without bytes that would spoil a log line.
std::string quoted(std::string_view text) {
  std::string shown = "'";
  for (char c : text.substr(0, quoted_bytes_max)) shown += c < ' ' || c > '~' ? '?' : c;
  if (text.size() > quoted_bytes_max) shown += "...";
  return shown += '\'';
}

std::unexpected<error> refuse_duration(std::string_view text, std::string_view why) {
  std::string message = "duration " + quoted(text) + ": ";
  message += why;
  message += "; write e.g. 250ms, 30s or 1h30m";
  return fail(errc::invalid_argument, message);
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }
}  // namespace

result<duration> parse_duration(std::string_view text) {
  if (text.empty()) return refuse_duration(text, "is empty");
  std::int64_t total = 0;
  std::size_t units_used = 0;  // units before this index are larger than, or are, the last one read
  std::string_view rest = text;
  while (!rest.empty()) {
    std::int64_t count = 0;
    if (!is_digit(rest[0])) return refuse_duration(text, "needs a whole number before each unit");
    const char* end = rest.data() + rest.size();
    const auto [after, problem] = std::from_chars(rest.data(), end, count);
    if (problem != std::errc()) return refuse_duration(text, "is over 100 years");
    rest.remove_prefix(static_cast<std::size_t>(after - rest.data()));
    std::size_t letters = 0;
    while (letters < rest.size() && !is_digit(rest[letters])) ++letters;
    const std::string_view name = rest.substr(0, letters);
    if (name.starts_with('.'))
      return refuse_duration(text, "has a fraction: give whole numbers, such as 1500us or 1s500ms");
    if (name.empty()) return refuse_duration(text, "ends without a unit (ns us ms s m h d)");
    std::size_t index = 0;
    while (index < std::size(units) && units[index].name != name) ++index;
    if (index == std::size(units))
      return refuse_duration(text, "has a unit not of ns us ms s m h d");
    if (index < units_used) return refuse_duration(text, "must have each unit once, largest first");
    units_used = index + 1;
    std::int64_t part = 0;
    if (__builtin_mul_overflow(count, units[index].ns, &part) ||
        __builtin_add_overflow(total, part, &total) || total > duration_ns_max) {
      return refuse_duration(text, "is over 100 years");
    }
    rest.remove_prefix(letters);
  }
  return duration(total);
}

std::string format_duration(duration length) {
  if (length.ns == 0) return "0s";
  std::string text;
  // Negative lengths occur in differences only; parse_duration refuses them, people can read them.
  if (length.ns < 0) text += '-';
  std::uint64_t rest = length.ns < 0 ? 0 - static_cast<std::uint64_t>(length.ns)
                                     : static_cast<std::uint64_t>(length.ns);
  for (const duration_unit& u : units) {
    const std::uint64_t count = rest / static_cast<std::uint64_t>(u.ns);
    rest %= static_cast<std::uint64_t>(u.ns);
    if (count != 0) (text += std::to_string(count)) += u.name;
  }
  return text;
}

result<std::uint64_t> parse_number(std::string_view text, std::uint64_t max) {
  std::uint64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [after, problem] = std::from_chars(text.data(), end, number);
  if (problem == std::errc::result_out_of_range || (problem == std::errc() && number > max)) {
    return fail(errc::invalid_argument,
                "number " + quoted(text) + " is over " + std::to_string(max));
  }
  if (problem != std::errc() || after != end) {
    return fail(errc::invalid_argument, quoted(text) + " is not a whole decimal number");
  }
  return number;
}

bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept {
  if (a.size() != b.size()) return false;
  for (std::size_t at = 0; at < a.size(); ++at) {
    if (lower(a[at]) != lower(b[at])) return false;
  }
  return true;
}

std::string_view trim(std::string_view text) noexcept {
  constexpr std::string_view spaces = " \t\r\n\v\f";
  const std::size_t from = text.find_first_not_of(spaces);
  if (from == std::string_view::npos) return {};
  return text.substr(from, text.find_last_not_of(spaces) - from + 1);
}

}  // namespace weir
