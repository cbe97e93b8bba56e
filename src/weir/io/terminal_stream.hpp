// Terminals: keys one by one, lines through the reader, the size and its changes. The hard idea: a
// terminal's descriptor is shared with the shell and with whoever runs beside us, so nothing about
// it may be changed for good. It is opened anew, for only a description of our own may be
// non-blocking; and the mode that raw_mode sets is put back also when a signal ends the process.
//
//   weir::terminal screen = weir::open_terminal();  // that of standard input
//   weir::raw_mode raw(screen);                     // until the end of this block
//   while (auto one = co_await screen.next_key())   // nothing when the terminal is gone
//     ...
#pragma once

#include <weir/base/time.hpp>
#include <weir/core/task.hpp>
#include <weir/io/key_press.hpp>
#include <weir/io/socket.hpp>

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace weir {

/// Whether a descriptor is that of a terminal: keys and lines of a user come out of it.
bool is_tty(io_handle descriptor) noexcept;

/// In characters; zeros when the terminal does not know.
struct terminal_size {
  int rows = 0;
  int columns = 0;

  bool operator==(const terminal_size&) const = default;
};

/// A terminal that is read and written without blocking the loop. Lines of it, in its usual mode:
/// `weir::reader lines(screen);`
///
/// Cancel:  a cancelled receive() or next_key() has taken nothing; of a send `sent` says how much.
/// Order:   as typed, and as sent. One receive() or next_key(), and one send(), at a time.
/// Bound:   the kernel keeps 4,095 bytes that nobody has read; a send waits while it keeps as many.
///          Of a control string `detail::string_bytes_max` are a key; the rest is dropped.
/// Errors:  the end is empty: the terminal is gone, or Ctrl-D in its usual mode; `closed` after
///          close(). Stopped by the system when read in the background, as any program.
/// Threads: one loop.
class [[nodiscard]] terminal : private detail::socket_owner {
 public:
  /// What may follow the byte of the escape key is waited for so long.
  static constexpr duration escape_wait = duration::milliseconds(30);

  using socket_owner::socket_owner;
  using socket_owner::operator bool;
  using socket_owner::close;
  using socket_owner::handle;

  /// The next key; in the usual mode they come when a line is complete.
  task<std::optional<key_press>> next_key();
  /// What has been typed, at least one byte; empty at the end.
  task<bytes> receive();
  auto send(std::string_view data, std::size_t* sent = nullptr) noexcept {
    return detail::send_wait(handle_here(),
                             detail::slice_cursor(io_slice{data.data(), data.size()}), sent);
  }
  auto send(std::span<const io_slice> pieces, std::size_t* sent = nullptr) noexcept {
    return detail::send_wait(handle_here(), detail::slice_cursor(pieces.data(), pieces.size()),
                             sent);
  }

  terminal_size size() const;
  /// Waits until the size is another than `known`, and gives it; nothing when the terminal is gone.
  /// Hears SIGWINCH, which the system sends to the programs in the foreground of the terminal that
  /// is theirs.
  task<std::optional<terminal_size>> next_size(terminal_size known) const;

 private:
  friend class raw_mode;

  void skip_string() noexcept;
  /// 0 or -errno; -EIO: the terminal is gone.
  int look_at_size(terminal_size& into) const noexcept;

  std::string typed_;  // read, but not a whole key yet
  bool has_paused_ = false;
  bool is_in_string_ = false;  // of which the beginning was a key: the rest is none
};

/// Opens the terminal of a descriptor anew. `invalid_argument` when it is none; `permission_denied`
/// when it is another user's, as after `su`.
terminal open_terminal(io_handle of = 0);
/// The one with this path: "/dev/tty" is that of the process.
terminal open_terminal(const std::string& path);

}  // namespace weir
