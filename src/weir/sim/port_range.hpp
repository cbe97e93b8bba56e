// The ports that a machine gives to sockets that ask for none.
#pragma once

namespace weir {

/// Linux's by default (net.ipv4.ip_local_port_range). They are given in turn, so that one that was
/// just given back is not given out again soon.
struct port_range {
  int first = 32'768;
  int last = 60'999;

  int after(int port) const noexcept { return port == last ? first : port + 1; }
};

}  // namespace weir
