// Internal to io: the sockets and pipes of this thread's loops that a send_file() sends to. The
// hard idea: sendfile(2) goes past the driver, which counts the sends of a socket, and between two
// pieces nothing is sent; so what is under way is noted here, where a send looks before it begins.
#pragma once

#include <weir/core/driver.hpp>
#include <weir/io/file_copy.hpp>

namespace weir::detail {

/// One send_file(). A second one, or a send beside it, stops the process.
class file_send_mark {
 public:
  /// `to` outlives it; once it is closed its number may be another socket's, and is asked for anew.
  file_send_mark(const driver& io, const descriptor_sink& to) noexcept;
  /// Of a sink that is no descriptor: it is known by its address, if it looks.
  explicit file_send_mark(sink_ref to) noexcept;
  file_send_mark(const file_send_mark&) = delete;
  file_send_mark& operator=(const file_send_mark&) = delete;
  ~file_send_mark();

  /// While a piece leaves as an ordinary send, the driver counts it.
  void pause() noexcept { is_paused_ = true; }
  void go_on() noexcept { is_paused_ = false; }

 private:
  friend void look_for_file_sends(const driver& io, io_handle to) noexcept;
  friend void look_for_file_sends(const void* to) noexcept;

  bool is_to(const driver& io, io_handle handle) const noexcept {
    return io_ == &io && to_->handle() == handle;
  }

  const driver* io_ = nullptr;
  const descriptor_sink* to_ = nullptr;
  const void* sink_ = nullptr;
  file_send_mark* next_ = nullptr;
  bool is_paused_ = false;
};

/// Asserts that no send_file() is under way to this socket or pipe.
void look_for_file_sends(const driver& io, io_handle to) noexcept;
/// The same of a sink that is no descriptor.
void look_for_file_sends(const void* to) noexcept;

}  // namespace weir::detail
