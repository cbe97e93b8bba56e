// The limit over epoll: the answer is a constant, and a request is whatever ends in an empty line.
// No limits, no time-outs, no bodies: what is left when nothing is checked.
#include "listen.hpp"
#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <string_view>

namespace {

constexpr std::string_view answer =
    "HTTP/1.1 200 OK\r\nDate: Sat, 01 Jan 2000 00:00:00 GMT\r\nContent-Type: text/plain\r\n"
    "Content-Length: 13\r\n\r\nHello, world!";

struct connection {
  int handle;
  std::string rest;  // the beginning of a request
};

char buffer[16 * 1024];
int ring;

void drop(connection* one) {
  close(one->handle);
  delete one;
}

void serve(connection* one) {
  for (;;) {
    const ssize_t got = recv(one->handle, buffer, sizeof buffer, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) return drop(one);
    std::string_view received(buffer, static_cast<std::size_t>(got));
    if (!one->rest.empty()) received = one->rest += received;
    for (std::size_t end; (end = received.find("\r\n\r\n")) != received.npos;) {
      received.remove_prefix(end + 4);
      if (send(one->handle, answer.data(), answer.size(), MSG_NOSIGNAL) < 0) return drop(one);
    }
    one->rest = std::string(received);
    if (static_cast<std::size_t>(got) < sizeof buffer) return;  // nothing more has arrived
  }
}

void accept_all(int listener) {
  for (;;) {
    const int handle = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK);
    if (handle < 0) return;
    bench::set_no_delay(handle);
    epoll_event event{.events = EPOLLIN | EPOLLET, .data = {.ptr = new connection{handle, {}}}};
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
