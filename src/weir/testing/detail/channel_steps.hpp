// What the rules of channels do again and again, on any two halves. "Later" is after those who come
// at once, "late" after those who come later.
#pragma once

#include <weir/core/sleep.hpp>
#include <weir/core/task.hpp>

#include <vector>

namespace weir::testing::detail {

/// first, first + 1, ...
template <class Sender>
task<> send_items(Sender* to, int first, int count) {
  for (int i = first; i < first + count; ++i) co_await to->send(i);
}
template <class Sender>
task<> send_items_and_close(Sender* to, int count) {
  co_await send_items(to, 0, count);
  to->close();
}
/// *sent, *sent + 1, ... until so many are sent.
template <class Sender>
task<> send_and_count(Sender* to, int* sent, int count) {
  for (; *sent < count; ++*sent) co_await to->send(*sent);
}
template <class Receiver>
task<> receive_items(Receiver* from, std::vector<int>* into) {
  while (auto item = co_await from->receive()) into->push_back(*item);
}
template <class Receiver>
task<> receive_items_slowly(Receiver* from, std::vector<int>* into) {
  while (auto item = co_await from->receive()) {
    into->push_back(*item);
    co_await yield();
  }
}
/// -1: it was the end.
template <class Receiver>
task<> receive_item(Receiver* from, std::vector<int>* into) {
  auto item = co_await from->receive();
  into->push_back(item ? *item : -1);
}

template <class Sender>
task<> send_item_later(Sender* to, int item) {
  co_await sleep(duration::milliseconds(1));
  co_await to->send(item);
}
template <class Sender>
task<> send_items_late(Sender* to, int count) {
  co_await sleep(duration::milliseconds(2));
  co_await send_items(to, 0, count);
}
template <class Receiver>
task<> receive_item_later(Receiver* from, std::vector<int>* into) {
  co_await sleep(duration::milliseconds(1));
  co_await receive_item(from, into);
}
/// Until `last` has come, and no more than that are there.
template <class Receiver>
task<> receive_items_late(Receiver* from, std::vector<int>* into, int last) {
  co_await sleep(duration::milliseconds(2));
  for (int i = 0; i <= last && (into->empty() || into->back() != last); ++i) {
    co_await receive_item(from, into);
  }
}

}  // namespace weir::testing::detail
