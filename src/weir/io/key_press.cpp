#include <weir/io/key_press.hpp>

#include <algorithm>
#include <utility>

namespace weir {

const char* name(key what) noexcept {
  constexpr const char* names[] = {"text",   "control",  "enter",   "tab",       "backspace",
                                   "escape", "up",       "down",    "right",     "left",
                                   "home",   "end",      "page_up", "page_down", "insert",
                                   "remove", "function", "unknown"};
  return names[static_cast<std::size_t>(what)];
}

namespace detail {

namespace {

constexpr char escape_byte = '\x1b';

/// What a letter or a number at the end of a sequence stands for.
struct meaning {
  int code;
  key what;
  int number = 0;
};
constexpr meaning letters[] = {
    {'A', key::up},          {'B', key::down},        {'C', key::right},
    {'D', key::left},        {'H', key::home},        {'F', key::end},
    {'M', key::enter},       {'Z', key::tab},         {'P', key::function, 1},
    {'Q', key::function, 2}, {'R', key::function, 3}, {'S', key::function, 4}};
constexpr meaning numbers[] = {
    {1, key::home},          {2, key::insert},       {3, key::remove},
    {4, key::end},           {5, key::page_up},      {6, key::page_down},
    {7, key::home},          {8, key::end},          {11, key::function, 1},
    {12, key::function, 2},  {13, key::function, 3}, {14, key::function, 4},
    {15, key::function, 5},  {17, key::function, 6}, {18, key::function, 7},
    {19, key::function, 8},  {20, key::function, 9}, {21, key::function, 10},
    {23, key::function, 11}, {24, key::function, 12}};

key_press of_meaning(const meaning* begin, const meaning* end, int code) {
  const meaning* found = std::find_if(begin, end, [&](const meaning& m) { return m.code == code; });
  if (found == end) return {};
  return {.what = found->what, .number = found->number};
}
key_press of_letter(char letter) {
  return of_meaning(std::begin(letters), std::end(letters), letter);
}

decoded_key unknown(std::string_view bytes) {
  return {{.what = key::unknown, .text = std::string(bytes)}, bytes.size()};
}

/// The numbers of a sequence: "1;5" is {1, 5}; what is missing is 0.
struct parameters {
  int first = 0;
  int second = 0;

  explicit parameters(std::string_view text) {
    int* now = &first;
    for (const char c : text) {
      if (c == ';') {
        if (now == &second) return;
        now = &second;
      } else if (*now < 1000) {
        *now = *now * 10 + (c - '0');
      }
    }
  }
};

// ESC [ numbers letter (ECMA-48, 5.4), and of the Linux console ESC [ [ letter for F1 to F5.
decoded_key decode_sequence(std::string_view input, bool is_all) {
  if (input.size() > 2 && input[2] == '[') {
    if (input.size() < 4) return is_all ? unknown(input) : decoded_key{};
    const bool is_function = input[3] >= 'A' && input[3] <= 'E';
    if (!is_function) return unknown(input.substr(0, 4));
    return {{.what = key::function, .number = input[3] - 'A' + 1}, 4};
  }
  std::size_t at = 2;
  while (at < input.size() && at < sequence_bytes_max && input[at] >= ' ' && input[at] < '@') ++at;
  if (at == input.size() && !is_all && at < sequence_bytes_max) return {};
  if (at == input.size() || at == sequence_bytes_max) return unknown(input.substr(0, at));
  const char last = input[at];
  const std::string_view whole = input.substr(0, at + 1);
  if (last < '@' || last > '~') return unknown(input.substr(0, at));  // a key of its own follows
  const std::string_view text = input.substr(2, at - 2);
  if (text.find_first_not_of("0123456789;") != text.npos) return unknown(whole);
  const parameters of(text);
  key_press press =
      last == '~' ? of_meaning(std::begin(numbers), std::end(numbers), of.first) : of_letter(last);
  if (press.what == key::unknown) return unknown(whole);
  const int modifiers = of.second > 0 ? of.second - 1 : 0;
  press.has_shift = (modifiers & 1) != 0 || last == 'Z';
  press.has_alt = (modifiers & 2) != 0;
  press.has_control = (modifiers & 4) != 0;
  return {std::move(press), whole.size()};
}

// ESC and one of these begins a control string (ECMA-48, 5.6): OSC, DCS, APC, PM and SOS.
bool begins_string(char second) noexcept {
  return std::string_view("]P_^X").find(second) != std::string_view::npos;
}

decoded_key decode_escape(std::string_view input, bool is_all) {
  if (input.size() == 1 || input[1] == escape_byte) {
    if (input.size() == 1 && !is_all) return {};
    return {{.what = key::escape}, 1};
  }
  const bool is_prefix = input[1] == '[' || input[1] == 'O';
  if (is_prefix && input.size() == 2 && !is_all) return {};
  if (is_prefix && input.size() > 2) {
    if (input[1] == '[') return decode_sequence(input, is_all);
    if (input[2] < ' ' || input[2] > '~')  // a key of its own follows
      return {{.what = key::text, .text = "O", .has_alt = true}, 2};
    key_press press = of_letter(input[2]);
    if (press.what == key::unknown) return unknown(input.substr(0, 3));
    return {std::move(press), 3};
  }
  if (begins_string(input[1])) {  // if it has an end; else it was typed: Alt, the letter, and text
    const string_part body = look_at_string(input.substr(2, string_bytes_max - 2));
    const bool is_open = body.end == string_end::open;
    decoded_key whole = unknown(input.substr(0, 2 + body.size));
    whole.is_cut = is_open && input.size() >= string_bytes_max;
    if (whole.is_cut || body.end == string_end::found) return whole;
    if (is_open && !is_all) return {};
  }
  decoded_key rest = decode_key(input.substr(1), is_all);
  if (rest.size == 0) return {};
  rest.press.has_alt = true;
  ++rest.size;
  return rest;
}

decoded_key decode_control(char byte) {
  if (byte == '\r' || byte == '\n') return {{.what = key::enter}, 1};
  if (byte == '\t') return {{.what = key::tab}, 1};
  if (byte == '\b' || byte == '\x7f') return {{.what = key::backspace}, 1};
  const auto code = static_cast<unsigned char>(byte);
  const char letter = static_cast<char>(code == 0 ? ' ' : code <= 26 ? code + 0x60 : code + 0x40);
  return {{.what = key::control, .text = std::string(1, letter)}, 1};
}

/// How many bytes a character has that begins with this one; 0: none does.
std::size_t character_size(unsigned char first) noexcept {
  if (first < 0x80) return 1;
  if (first < 0xc2) return 0;
  if (first < 0xe0) return 2;
  if (first < 0xf0) return 3;
  return first < 0xf5 ? 4 : 0;
}

// The Unicode Standard, table 3-7: no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_second_byte(unsigned char first, unsigned char second) noexcept {
  const unsigned char lowest = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
  const unsigned char highest = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
  return second >= lowest && second <= highest;
}

decoded_key decode_character(std::string_view input, bool is_all) {
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(input[at]); };
  const std::size_t size = character_size(byte(0));
  if (size == 0) return unknown(input.substr(0, 1));
  for (std::size_t i = 1; i < size; ++i) {
    if (i == input.size()) return is_all ? unknown(input) : decoded_key{};
    const bool is_right = i == 1 ? is_second_byte(byte(0), byte(1)) : (byte(i) & 0xc0) == 0x80;
    if (!is_right) return unknown(input.substr(0, i));
  }
  return {{.what = key::text, .text = std::string(input.substr(0, size))}, size};
}

}  // namespace

string_part look_at_string(std::string_view input) noexcept {
  constexpr char bell = '\a';
  for (std::size_t at = 0; at < input.size(); ++at) {
    const char c = input[at];
    if (c == bell) return {at + 1, string_end::found};
    if (c == escape_byte) {
      if (at + 1 == input.size()) return {at, string_end::open};
      if (input[at + 1] == '\\') return {at + 2, string_end::found};  // ST
      return {at, string_end::broken};
    }
    const bool is_control = (c >= '\0' && c < '\b') || (c > '\r' && c < ' ') || c == '\x7f';
    if (is_control) return {at, string_end::broken};
  }
  return {input.size(), string_end::open};
}

decoded_key decode_key(std::string_view input, bool is_all) {
  if (input.empty()) return {};
  const auto first = static_cast<unsigned char>(input[0]);
  if (input[0] == escape_byte) return decode_escape(input, is_all);
  if (first < 0x20 || first == 0x7f) return decode_control(input[0]);
  return decode_character(input, is_all);
}

}  // namespace detail
}  // namespace weir
