#include <weir/flow/event_bus.hpp>

#include <utility>

namespace weir::detail {

any_topic* find_topic(any_topic* newest, const any_topic* end, const void* type,
                      std::string_view name) noexcept {
  for (any_topic* one = newest; one != end; one = one->next) {
    if (one->type == type && one->name == name) return one;
  }
  return nullptr;
}

event_bus_stats sum_topics(const any_topic* newest) noexcept {
  event_bus_stats sum;
  for (const any_topic* one = newest; one; one = one->next) {
    const broadcast_stats its = one->stats();
    ++sum.topics;
    sum.subscribers += its.receivers;
    sum.published += its.sent;
    sum.missed += its.missed;
  }
  return sum;
}

void delete_topics(any_topic* newest) noexcept {
  for (any_topic* one = newest; one;) delete std::exchange(one, one->next);
}

void raise_too_many_topics() {
  raise(error(errc::full, "subscribe: the bus has topics_max topics; are they named by data?"));
}

}  // namespace weir::detail
