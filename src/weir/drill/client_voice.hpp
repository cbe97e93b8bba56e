// What a client tells who watches a drill: what it asked, and what it was told. The hard idea:
// where nobody listens no text is made, and where somebody does it is made with the world's memory,
// so that a run is the same either way.
#pragma once

#include <weir/base/program_here.hpp>
#include <weir/sim/virtual_nodes.hpp>

#include <fmt/format.h>

#include <string>
#include <string_view>

namespace weir::drill {

class drill_listener;

/// The voice of one machine's clients.
///
/// Cancel:  no waits.
/// Order:   as they speak.
/// Bound:   none of its own.
/// Errors:  none.
/// Threads: one.
class client_voice {
 public:
  /// `to` may be null.
  client_voice(virtual_node& of, drill_listener* to) noexcept : of_(of), to_(to) {}

  /// "acknowledges attempt 2: 204", of the message with this id; empty: of none that it knows.
  template <class... A>
  void say(std::string_view message, const char* format, const A&... about) const {
    if (!to_) return;
    const detail::world_runs telling;
    pass(message, fmt::format(fmt::runtime(format), about...));
  }

 private:
  void pass(std::string_view message, const std::string& what) const;

  virtual_node& of_;
  drill_listener* to_;
};

/// "204"; "no answer" for 0.
std::string status_text(int status);

}  // namespace weir::drill
