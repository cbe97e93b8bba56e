// The limit over epoll for http_server: it looks for the blank line that ends a request and answers
// with bytes that were made before. No parser, no limits, no time-outs: not a server.
#include "listen.hpp"
#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace {

constexpr char answer[] =
    "HTTP/1.1 200 OK\r\nDate: Tue, 01 Jan 2030 00:00:00 GMT\r\nContent-Type: text/plain\r\n"
    "Content-Length: 13\r\n\r\nHello, world!";

struct connection {
  int handle;
  std::string head;  // the beginning of a request that has not arrived whole
};

char buffer[64 * 1024];
int ring;

void drop(connection* one) {
  close(one->handle);
  delete one;
}

void serve(connection* one) {
  for (;;) {
    const std::size_t kept = one->head.size();
    one->head.copy(buffer, kept);
    const ssize_t got = recv(one->handle, buffer + kept, sizeof buffer - kept, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) return drop(one);
    const std::size_t size = kept + static_cast<std::size_t>(got);
    std::string answers;
    std::size_t at = 0;
    while (const void* end = memmem(buffer + at, size - at, "\r\n\r\n", 4)) {
      at = static_cast<std::size_t>(static_cast<const char*>(end) - buffer) + 4;
      answers += answer;
    }
    one->head.assign(buffer + at, size - at);
    const ssize_t sent = send(one->handle, answers.data(), answers.size(), MSG_NOSIGNAL);
    if (sent != static_cast<ssize_t>(answers.size())) return drop(one);
    if (static_cast<std::size_t>(got) < sizeof buffer - kept) return;
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
