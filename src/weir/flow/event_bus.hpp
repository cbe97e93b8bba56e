// event_bus: parts of a program tell each other what happened without knowing each other. The hard
// idea: the type of an event is its topic, so what is published and what is heard can't differ; a
// name tells topics of one type apart. Topics are never taken away while the bus lives, so between
// loops the list of them is read without a lock: only who adds one takes it.
//
// Invariants: (1) what newest_ leads to is never changed again; (2) a type and a name have one
//             topic: who adds one looks, under the lock, at those that came since it had looked.
#pragma once

#include <weir/flow/broadcast.hpp>

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
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

namespace detail {

template <class E>
inline constexpr char event_type_mark = 0;  // its address names the type

struct any_topic {
  const void* type;
  std::string name;
  any_topic* next = nullptr;  // the one that was made before it

  any_topic(const void* of, std::string_view called) : type(of), name(called) {}
  any_topic(const any_topic&) = delete;
  any_topic& operator=(const any_topic&) = delete;
  virtual ~any_topic() = default;
  virtual broadcast_stats stats() const noexcept = 0;
};

/// The first of the topics from `newest` to the one before `end`, or null.
any_topic* find_topic(any_topic* newest, const any_topic* end, const void* type,
                      std::string_view name) noexcept;
event_bus_stats sum_topics(const any_topic* newest) noexcept;
void delete_topics(any_topic* newest) noexcept;
[[noreturn]] void raise_too_many_topics();

template <class Reach>
class basic_event_bus {
 public:
  explicit basic_event_bus(event_bus_options options = {}) noexcept : options_(options) {}
  basic_event_bus(const basic_event_bus&) = delete;
  basic_event_bus& operator=(const basic_event_bus&) = delete;
  /// Subscribers hear what is left and then the end.
  ~basic_event_bus() { delete_topics(newest()); }

  /// Tells all subscribers of this type (and name); never waits. How many there are.
  template <class E>
  std::size_t publish(E event, std::string_view name = {}) {
    any_topic* const found = find_topic(newest(), nullptr, &event_type_mark<E>, name);
    return found ? static_cast<topic<E>*>(found)->sender.send(std::move(event)) : 0;
  }
  /// What is published from now on: `auto orders = bus.subscribe<order_placed>(); while (auto next
  /// = co_await orders.receive()) bill(next->value);`
  template <class E>
  [[nodiscard]] basic_broadcast_receiver<E, Reach> subscribe(std::string_view name = {}) {
    any_topic* const seen = newest();
    any_topic* found = find_topic(seen, nullptr, &event_type_mark<E>, name);
    if (!found) found = add(std::make_unique<topic<E>>(name, options_.capacity), seen);
    return static_cast<topic<E>*>(found)->sender.subscribe();
  }
  const char* name() const noexcept { return options_.name; }
  event_bus_stats stats() const noexcept { return sum_topics(newest()); }

 private:
  template <class E>
  struct topic final : any_topic {
    basic_broadcast_sender<E, Reach> sender;
    topic(std::string_view called, std::size_t capacity)
        : any_topic(&event_type_mark<E>, called), sender(make_sender(capacity)) {}
    broadcast_stats stats() const noexcept override { return sender.stats(); }

    static basic_broadcast_sender<E, Reach> make_sender(std::size_t capacity) {
      check_broadcast_capacity(capacity);
      return basic_broadcast_sender<E, Reach>(new broadcast_state<E, Reach>(capacity));
    }
  };

  /// The topic, or the one that somebody has added since `seen` was the newest.
  any_topic* add(std::unique_ptr<any_topic> made, const any_topic* seen) {
    {
      const typename Reach::guard held(lock_);
      any_topic* const last = newest();
      if (any_topic* faster = find_topic(last, seen, made->type, made->name)) return faster;  // (2)
      if (count_ < options_.topics_max) {
        ++count_;
        made->next = last;
        if constexpr (Reach::is_shared) {
          newest_.store(made.get(), std::memory_order_release);  // (1)
        } else {
          newest_ = made.get();
        }
        return made.release();
      }
    }
    raise_too_many_topics();
  }
  any_topic* newest() const noexcept {
    if constexpr (Reach::is_shared) {
      return newest_.load(std::memory_order_acquire);
    } else {
      return newest_;
    }
  }

  [[no_unique_address]] typename Reach::lock lock_;
  event_bus_options options_;
  std::size_t count_ = 0;
  std::conditional_t<Reach::is_shared, std::atomic<any_topic*>, any_topic*> newest_ = nullptr;
};

}  // namespace detail

/// Topics by the type of their events, with subscribers that come and go.
///
/// Cancel:  only a subscriber waits: a cancelled receive has taken no event.
/// Order:   each subscriber hears the events of a topic in the order of their publishing.
/// Bound:   `capacity` events a topic: a subscriber that is further behind misses the oldest and is
///          told; topics_max topics.
/// Errors:  `full` beyond topics_max. An event of a topic without subscribers goes nowhere, and
///          publish() says 0.
/// Threads: one loop; cross::event_bus is for several.
class event_bus final : public detail::basic_event_bus<detail::one_loop> {
 public:
  using basic_event_bus::basic_event_bus;
};

namespace cross {

/// weir::event_bus for several loops, which share the topics. An event costs its topic's short
/// lock, and for each subscriber that waits on another loop a post. Subscribers copy it under that
/// lock: keep it small, or make it a shared_ptr.
///
/// Cancel:  only a subscriber waits: a cancelled receive has taken no event.
/// Order:   all subscribers hear the events of a topic in one order, in which those of a thread
///          keep their own.
/// Bound:   `capacity` events a topic: a subscriber that is further behind misses the oldest and is
///          told; topics_max topics.
/// Errors:  `full` beyond topics_max. An event of a topic without subscribers goes nowhere, and
///          publish() says 0.
/// Threads: any, also those without a loop; a subscriber belongs to one at a time. It outlives
///          every call of its own, subscribers may outlive it. Several threads use and drop copies
///          of an event at once: none that shares a count without atomics (`bytes`).
class event_bus final : public detail::basic_event_bus<detail::many_loops> {
 public:
  using basic_event_bus::basic_event_bus;
};

}  // namespace cross
}  // namespace weir
