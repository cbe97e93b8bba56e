// For tests only: a driver to derive from. It is the virtual one, told of other threads, without
// sockets and files.
#pragma once

#include <weir/core/driver.hpp>
#include <weir/sim/virtual_driver.hpp>

#include <cstdint>

namespace weir::contract {

/// What a test does not override is the virtual driver's, or not there.
///
/// Cancel:  as the virtual driver.
/// Order:   as the virtual driver.
/// Bound:   as the virtual driver.
/// Errors:  `no_such_call` of everything that would give a handle.
/// Threads: as the virtual driver.
class plain_driver : public driver {
 public:
  time_point now() noexcept override { return in_.now(); }
  time_point wall_now() noexcept override { return in_.wall_now(); }
  std::uint64_t random() noexcept override { return in_.random(); }
  bool submit(io_request& request) noexcept override { return in_.submit(request); }
  void cancel(io_request& request) noexcept override { in_.cancel(request); }
  void wait(time_point until) noexcept override { in_.wait(until); }
  void wake() noexcept override { in_.wake(); }
  bool is_waiting_for_io() const noexcept override { return in_.is_waiting_for_io(); }
  bool can_be_woken() const noexcept override { return true; }
  io_handle make_socket(int) noexcept override { return no_such_call; }
  io_handle make_listener(raw_address&, const listen_options&) noexcept override {
    return no_such_call;
  }
  int address_of(io_handle, bool, raw_address&) noexcept override { return no_such_call; }
  int set_option(io_handle, int, int, int) noexcept override { return no_such_call; }
  int status_of(const char*, file_status&) noexcept override { return no_such_call; }
  int status_of(io_handle, file_status&) noexcept override { return no_such_call; }
  int list_dir(const char*, void (*)(void*, const char*), void*) noexcept override {
    return no_such_call;
  }
  int lock_file(io_handle) noexcept override { return no_such_call; }
  void close_now(io_handle) noexcept override {}

 private:
  virtual_driver in_{virtual_options{.threads = true}};
};

}  // namespace weir::contract
