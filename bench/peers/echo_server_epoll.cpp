// The limit over epoll: system calls and next to nothing between them. One buffer for all, and a
// piece of memory of its own only for a connection whose peer reads slower than it writes.
#include "listen.hpp"
#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace {

struct connection {
  int handle;
  std::string unsent;
};

char buffer[64 * 1024];
int ring;

void drop(connection* one) {
  close(one->handle);
  delete one;
}

// False: the connection is gone.
bool flush(connection* one) {
  while (!one->unsent.empty()) {
    const ssize_t n = send(one->handle, one->unsent.data(), one->unsent.size(), MSG_NOSIGNAL);
    if (n < 0) return errno == EAGAIN || (drop(one), false);
    one->unsent.erase(0, static_cast<std::size_t>(n));
  }
  return true;
}

void serve(connection* one) {
  if (!flush(one)) return;
  while (one->unsent.empty()) {
    const ssize_t got = recv(one->handle, buffer, sizeof buffer, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) return drop(one);
    ssize_t sent = send(one->handle, buffer, static_cast<std::size_t>(got), MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) return drop(one);
    sent = sent < 0 ? 0 : sent;
    if (sent < got) one->unsent.assign(buffer + sent, static_cast<std::size_t>(got - sent));
    if (static_cast<std::size_t>(got) < sizeof buffer) return;  // nothing more has arrived
  }
}

void accept_all(int listener) {
  for (;;) {
    const int handle = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK);
    if (handle < 0) return;
    bench::set_no_delay(handle);
    epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLET,
                      .data = {.ptr = new connection{handle, {}}}};
    epoll_ctl(ring, EPOLL_CTL_ADD, handle, &event);
  }
}

}  // namespace

int main() {
  const int listener = bench::listen_anywhere(SOCK_NONBLOCK);
  ring = epoll_create1(0);
  epoll_event event{.events = EPOLLIN, .data = {.ptr = nullptr}};
  epoll_ctl(ring, EPOLL_CTL_ADD, listener, &event);
  epoll_event events[256];
  for (;;) {
    const int found = epoll_wait(ring, events, 256, -1);
    for (int i = 0; i < found; ++i) {
      if (events[i].data.ptr)
        serve(static_cast<connection*>(events[i].data.ptr));
      else
        accept_all(listener);
    }
  }
}
