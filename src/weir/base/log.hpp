// The log: one line per event on standard error, a text that never changes and fields that do:
//   2026-03-01T12:00:00.123Z info listening address=127.0.0.1:8420 driver=io_uring
// The hard idea: a log line is read by machines and written from bytes of strangers, so values are
// quoted and escaped; nobody can forge a second line. The level is read from WEIR_LOG at the first
// use (trace, debug, info, warn, error, off; info when unset or unknown). The log is the one
// process-wide object of weir: an event must be sayable where nothing was passed in.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string_view>

namespace weir::log {

enum class level : std::uint8_t { trace, debug, info, warn, error, off };

/// One `key=value`: a view, valid during the call that logs it.
struct field {
  enum class kind : std::uint8_t { text, integer, natural, real, boolean };

  constexpr field(std::string_view k, std::string_view v) : key(k), type(kind::text), text(v) {}
  constexpr field(std::string_view k, const char* v) : field(k, std::string_view(v)) {}
  constexpr field(std::string_view k, bool v) : key(k), type(kind::boolean), natural(v) {}
  constexpr field(std::string_view k, std::signed_integral auto v)
      : key(k), type(kind::integer), integer(v) {}
  constexpr field(std::string_view k, std::unsigned_integral auto v)
      : key(k), type(kind::natural), natural(v) {}
  constexpr field(std::string_view k, std::floating_point auto v)
      : key(k), type(kind::real), real(v) {}

  std::string_view key;
  kind type;
  union {
    std::string_view text;
    std::int64_t integer;
    std::uint64_t natural;
    double real;
  };
};
using fields = std::initializer_list<field>;

/// Writes one event when its level is on. Never throws: when memory is short, the event is lost.
void write(level severity, std::string_view text, fields about = {}) noexcept;

inline void trace(std::string_view text, fields about = {}) noexcept {
  write(level::trace, text, about);
}
inline void debug(std::string_view text, fields about = {}) noexcept {
  write(level::debug, text, about);
}
inline void info(std::string_view text, fields about = {}) noexcept {
  write(level::info, text, about);
}
inline void warn(std::string_view text, fields about = {}) noexcept {
  write(level::warn, text, about);
}
inline void error(std::string_view text, fields about = {}) noexcept {
  write(level::error, text, about);
}

/// True when events of this level are written: ask before preparing something costly to say.
bool is_on(level severity) noexcept;
void set_level(level lowest) noexcept;
/// "warn" to level::warn; `otherwise` for a name that is none.
level parse_level(std::string_view name, level otherwise) noexcept;

/// Where lines go instead of standard error; `text` has no time, level or end of line. A null
/// function gives standard error back. For tests and for programs with a log of their own.
struct sink {
  void (*write)(void* context, level severity, std::string_view text) noexcept = nullptr;
  void* context = nullptr;
};
sink set_sink(sink replacement) noexcept;

namespace detail {
inline constexpr std::size_t line_bytes_max = 8192;  // an event beyond it is cut, with "..."

/// Takes fields of who speaks, to stand behind those of the event.
class field_taker {
 public:
  virtual void take(const field& one) = 0;

 protected:
  ~field_taker() = default;
};
/// Called for each event that is written, on the thread that writes it; null: nobody is asked.
using speaker_fields = void (*)(field_taker& to);
void set_speaker_fields(speaker_fields of) noexcept;
}  // namespace detail

}  // namespace weir::log
