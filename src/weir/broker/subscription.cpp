#include <weir/broker/subscription.hpp>

#include <weir/base/error.hpp>

#include <new>
#include <utility>

namespace weir {

task<broker_event> subscription::next() {
  while (events_.empty()) {
    if (is_closed_) raise(error(errc::closed, "what was subscribed to is gone"));
    co_await changed_.wait();
  }
  broker_event first = std::move(events_.front());
  events_.pop_front();
  co_return first;
}

// Without memory for it, it is dropped as well: others are to hear of it all the same.
void subscription::put(const broker_event& what) noexcept {
  if (events_.size() == events_max) {
    events_.pop_front();
    ++dropped_;
  }
  try {
    events_.push_back(what);
    if (sequence_ == 0) events_.back().last.reset();  // a queue's subscribers keep no results
  } catch (const std::bad_alloc&) {
    ++dropped_;
  }
  changed_.notify_all();
}

void subscription::close() noexcept {
  is_closed_ = true;
  changed_.notify_all();
}

}  // namespace weir
