// What the rules of byte streams do again and again, on any sink and source.
#pragma once

#include <weir/base/buffer.hpp>
#include <weir/core/driver.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/task.hpp>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace weir::testing::detail {

template <class To>
task<> send(To* to, std::string_view text, std::size_t* sent = nullptr) {
  const io_slice slice{text.data(), text.size()};
  co_await to->send(std::span<const io_slice>(&slice, 1), sent);
}
template <class To>
task<> end(To* to) {
  if constexpr (requires { to->shutdown_send(); }) {
    co_await to->shutdown_send();
  } else {
    to->close();
  }
  co_return;
}
template <class To>
task<> send_and_end(To* to, std::string_view text, std::size_t* sent = nullptr) {
  co_await send(to, text, sent);
  co_await end(to);
}
/// One byte each 100 us, and then the end.
template <class To>
task<> send_slowly(To* to, std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    co_await sleep(duration::microseconds(100));
    co_await send(to, text.substr(i, 1));
  }
  co_await end(to);
}
template <class From>
task<> receive_all(From* from, std::string* into) {
  for (;;) {
    const bytes piece = co_await from->receive();
    if (piece.empty()) co_return;
    *into += piece.text();
  }
}
/// Exactly so many bytes; fewer only at the end.
template <class From>
task<std::string> receive_count(From* from, std::size_t count) {
  std::string all;
  while (all.size() < count) {
    const bytes piece = co_await from->receive();
    if (piece.empty()) break;
    all += piece.text();
  }
  co_return all;
}
/// `size` bytes in which a piece that is lost, doubled or out of place shows.
std::string pattern(std::size_t size);

}  // namespace weir::testing::detail
