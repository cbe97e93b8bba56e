// event_bus: parts of a program tell each other what happened without knowing each other. The hard
// idea: the type of an event is its topic, so what is published and what is heard can't differ; a
// name tells topics of one type apart.
#pragma once

#include <weir/flow/broadcast.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace weir {

struct event_bus_options {
  std::size_t capacity = 256;  // events of a topic that a subscriber may be behind
  std::size_t topics_max = 1024;
  const char* name = "event_bus";
};

struct event_bus_stats {
  std::size_t topics = 0;
  std::size_t subscribers = 0;
  std::uint64_t published = 0;
  std::uint64_t missed = 0;  // by slow subscribers
};

/// Topics by the type of their events, with subscribers that come and go.
///
/// Cancel:  only a subscriber waits: a cancelled receive has taken no event.
/// Order:   each subscriber hears the events of a topic in the order of their publishing.
/// Bound:   `capacity` events a topic: a subscriber that is further behind misses the oldest and is
///          told; topics_max topics.
/// Errors:  `full` beyond topics_max. An event of a topic without subscribers goes nowhere, and
///          publish() says 0.
/// Threads: one loop.
class event_bus {
 public:
  explicit event_bus(event_bus_options options = {}) noexcept : options_(options) {}
  event_bus(const event_bus&) = delete;
  event_bus& operator=(const event_bus&) = delete;
  /// Subscribers hear what is left and then the end.
  ~event_bus() { topics_.reset(); }

  /// Tells all subscribers of this type (and name); never waits. How many there are.
  template <class E>
  std::size_t publish(E event, std::string_view name = {}) {
    topic<E>* const found = find<E>(name);
    return found ? found->sender.send(std::move(event)) : 0;
  }
  /// What is published from now on: `auto orders = bus.subscribe<order_placed>(); while (auto next
  /// = co_await orders.receive()) bill(next->value);`
  template <class E>
  [[nodiscard]] broadcast_receiver<E> subscribe(std::string_view name = {}) {
    topic<E>* found = find<E>(name);
    if (!found) {
      check_room(count_, options_.topics_max);
      auto made = std::make_unique<topic<E>>(name, broadcast<E>(options_.capacity));
      made->next = std::move(topics_);
      found = made.get();
      topics_ = std::move(made);
      ++count_;
    }
    return found->sender.subscribe();
  }
  const char* name() const noexcept { return options_.name; }
  event_bus_stats stats() const noexcept {
    event_bus_stats sum{.topics = count_};
    for (const any_topic* one = topics_.get(); one; one = one->next.get()) {
      const broadcast_stats its = one->stats();
      sum.subscribers += its.receivers;
      sum.published += its.sent;
      sum.missed += its.missed;
    }
    return sum;
  }

 private:
  template <class E>
  static constexpr char type_mark = 0;  // its address names the type

  struct any_topic {
    const void* type;
    std::string name;
    std::unique_ptr<any_topic> next;

    any_topic(const void* of, std::string_view called) : type(of), name(called) {}
    any_topic(const any_topic&) = delete;
    any_topic& operator=(const any_topic&) = delete;
    virtual ~any_topic() {
      while (next) next = std::move(next->next);  // not as deep as the list is long
    }
    virtual broadcast_stats stats() const noexcept = 0;
  };
  template <class E>
  struct topic final : any_topic {
    broadcast_sender<E> sender;
    topic(std::string_view called, broadcast_sender<E> to)
        : any_topic(&type_mark<E>, called), sender(std::move(to)) {}
    broadcast_stats stats() const noexcept override { return sender.stats(); }
  };

  template <class E>
  topic<E>* find(std::string_view name) noexcept {
    for (any_topic* one = topics_.get(); one; one = one->next.get()) {
      if (one->type == &type_mark<E> && one->name == name) return static_cast<topic<E>*>(one);
    }
    return nullptr;
  }
  static void check_room(std::size_t count, std::size_t count_max);

  event_bus_options options_;
  std::unique_ptr<any_topic> topics_;
  std::size_t count_ = 0;
};

}  // namespace weir
