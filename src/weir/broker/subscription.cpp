#include <weir/broker/subscription.hpp>

#include <weir/base/error.hpp>

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

void subscription::put(const broker_event& what) {
  if (events_.size() == events_max) {
    events_.pop_front();
    ++dropped_;
  }
  events_.push_back(what);
  changed_.notify_all();
}

void subscription::close() noexcept {
  is_closed_ = true;
  changed_.notify_all();
}

}  // namespace weir
