// Keys of a terminal, out of the bytes that it sends for them. The hard idea: the escape key sends
// the byte that sequences of other keys begin with, so only time tells them apart; the decoder says
// that it needs more, and whoever reads decides when there is none.
//
// What is known: UTF-8, control characters, and the sequences of ECMA-48 and of DEC's terminals
// that xterm, the Linux console and their like send for cursor and function keys. Others are
// `unknown`, and so is each string that a terminal answers a question with (OSC, DCS and their
// like).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace weir {

enum class key : std::uint8_t {
  text,     // text: one character as UTF-8
  control,  // text: "c" for Ctrl-C
  enter,
  tab,
  backspace,
  escape,
  up,
  down,
  right,
  left,
  home,
  end,
  page_up,
  page_down,
  insert,
  remove,    // the key "Del"
  function,  // number: 1 for F1
  unknown,   // text: the bytes
};

/// "page_up"
const char* name(key what) noexcept;

struct key_press {
  key what = key::unknown;
  std::string text = {};
  int number = 0;
  bool has_shift = false;  // of keys other than text only; Shift-Tab among them
  bool has_alt = false;
  bool has_control = false;  // of cursor and function keys

  bool operator==(const key_press&) const = default;
};

namespace detail {

inline constexpr std::size_t sequence_bytes_max = 32;  // a longer sequence is unknown
inline constexpr std::size_t string_bytes_max = 1024;  // what is kept of a control string

struct decoded_key {
  key_press press = {};
  std::size_t size = 0;  // bytes that it took; 0: more must come first
  bool is_cut = false;   // the rest of a control string follows
};
/// The first key of `input`. `is_all`: nothing else comes, so it gives a key unless that is empty.
decoded_key decode_key(std::string_view input, bool is_all);

enum class string_end : std::uint8_t {
  found,   // ST or BEL
  open,    // more may come
  broken,  // by what no string has in it
};
struct string_part {
  std::size_t size = 0;  // its bytes, with the end that was found
  string_end end = string_end::open;
};
/// What of `input` belongs to a control string that has begun before it.
string_part look_at_string(std::string_view input) noexcept;

}  // namespace detail

}  // namespace weir
