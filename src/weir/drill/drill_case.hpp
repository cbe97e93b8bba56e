// What it takes to repeat a drill: its settings and its seed, or the decisions in which it differs
// from the plain one. A failed drill is saved as such a text, is replayed from it, and gets
// shorter.
#pragma once

#include <weir/base/result.hpp>
#include <weir/drill/drill.hpp>
#include <weir/sim/choice.hpp>
#include <weir/sim/node_trace.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace weir::drill {

struct drill_case {
  drill_settings settings = {};
  std::uint64_t seed = 1;
  std::optional<choice_log> log = {};  // instead of the seed

  /// Lines "name value", the first one says what it is.
  std::string text() const;
  /// `invalid_argument` with the line that is wrong.
  static result<drill_case> parse(std::string_view text);
  /// "weir sim serve --seed 17 ..."; for a case with a log, one that names `file`.
  std::string command(std::string_view file) const;
};

/// "always"
const char* name(tls_use use) noexcept;
std::optional<tls_use> parse_tls_use(std::string_view text) noexcept;

/// Runs it.
drill_report run_case(const drill_case& what, drill_listener* listener = nullptr);

/// Runs it twice, and more often when the runs differ: then something outside of the case decides.
/// Of packets of a run with TLS it compares the sizes, as tickets hold the real time. `listener`
/// hears all of them.
struct doubled_case {
  drill_report report;  // of the last run
  run_parting parting;
};
doubled_case run_twice(const drill_case& what, drill_listener* listener = nullptr);

/// A shorter case that breaks the same promise, from one that breaks one: fewer kinds of fault, a
/// shorter time, then fewer decisions. Gives `what` when nothing shorter was found.
struct shrunk_case {
  drill_case made;
  drill_report report;
  std::uint64_t runs = 0;
};
shrunk_case shrink_case(const drill_case& what, std::uint64_t runs_max);

/// The part of a violation that stays the same when ids and numbers change: "(2)" or its first
/// words.
std::string kind_of_violation(std::string_view violation);

}  // namespace weir::drill
