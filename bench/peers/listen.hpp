// A listening socket on a port that the system chooses, announced as tools/bench.py expects it.
#pragma once

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cstdio>
#include <cstdlib>

namespace bench {

inline void announce(unsigned port) {
  std::printf("listening %u\n", port);
  std::fflush(stdout);
}

inline int listen_quietly(int flags = 0, unsigned* port = nullptr) {
  const int handle = socket(AF_INET, SOCK_STREAM | flags, 0);
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof where;
  auto* address = reinterpret_cast<sockaddr*>(&where);
  if (handle < 0 || bind(handle, address, size) || listen(handle, 4096) ||
      getsockname(handle, address, &size)) {
    std::perror("listen");
    std::exit(1);
  }
  if (port) *port = ntohs(where.sin_port);
  return handle;
}
inline int listen_anywhere(int flags) {
  unsigned port = 0;
  const int handle = listen_quietly(flags, &port);
  announce(port);
  return handle;
}

inline void set_no_delay(int handle) {
  const int on = 1;
  setsockopt(handle, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

}  // namespace bench
