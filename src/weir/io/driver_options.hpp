// What a driver may be told at its start; a header of its own, since most programs need no more.
#pragma once

#include <cstddef>
#include <cstdint>

namespace weir {

struct driver_options {
  const char* name = nullptr;  // "io_uring" or "epoll"; null: what WEIR_DRIVER says, else the best
  std::uint32_t blocking_threads_max = 16;
  std::size_t blocking_queue_max = 65'536;
  std::size_t receive_blocks_max = 16'384;  // of 16 KiB each, at least 2: received bytes in use
  std::uint32_t ring_entries = 1'024;       // io_uring: submissions per turn before a system call
  bool shares_ports = false;  // every TCP listener has SO_REUSEPORT: one of several equal loops
};

}  // namespace weir
