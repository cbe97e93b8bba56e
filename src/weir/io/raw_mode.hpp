// A terminal's raw mode, and the promise that the mode before it comes back. The hard idea: a
// process that dies leaves its terminal as it is, and a user with a shell that echoes nothing; so
// the mode to go back to is kept where a signal handler finds it, and the handlers stand for as
// long as a mode is changed.
//
//   end of the block, cancellation, error ---> ~raw_mode() --+
//   exit() --------------------------------------------------+--> the mode as it was
//   a signal that ends the process: handler -----------------+    (not SIGKILL)
#pragma once

#include <weir/io/terminal_stream.hpp>

namespace weir {

struct raw_options {
  bool keeps_signals = false;  // Ctrl-C, Ctrl-\ and Ctrl-Z stay signals, not keys
};

/// While it lives, keys of a terminal arrive at once, are not echoed, and are nothing but keys:
/// Ctrl-C too. Output stays as it was: a "\n" begins a new line at its start. A terminal of the
/// virtual world has no other mode.
///
/// Cancel:  no waits; a cancelled task ends it as any end of its block does.
/// Order:   any: of several on one terminal the last one that ends puts back what was before all.
/// Bound:   modes_max in a process; the next one raises `full`.
/// Errors:  `closed`, `io`. A signal that the program handles itself, as with wait_signal(), ends
///          nothing here: that is up to the program. SIGSTOP and SIGTSTP leave the mode as it is.
/// Threads: any.
class [[nodiscard]] raw_mode {
 public:
  static constexpr int modes_max = 8;

  explicit raw_mode(const terminal& of, raw_options options = {});
  raw_mode(const raw_mode&) = delete;
  raw_mode& operator=(const raw_mode&) = delete;
  ~raw_mode();

 private:
  int slot_ = -1;  // -1: there is no mode to put back
};

}  // namespace weir
