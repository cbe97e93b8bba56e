// Bodies of call_cache.hpp's templates.
#pragma once

#include <weir/base/defect.hpp>
#include <weir/flow/call_cache.hpp>
#include <weir/flow/detail/clock_here.hpp>

namespace weir::detail {

/// Makes a value for all who wait; its end wakes them, whatever it was.
template <class Key, class Value, class Hash, class Reach>
class basic_call_cache<Key, Value, Hash, Reach>::maker {
 public:
  maker(basic_call_cache& of, const Key& key, flight_ptr mine) noexcept
      : of_(of), key_(key), flight_(std::move(mine)) {}
  maker(const maker&) = delete;
  maker& operator=(const maker&) = delete;
  ~maker() {
    typename flight_map::node_type landed;
    {
      const guard held(of_.lock_);
      const bool is_listed =
          flight_->is_wanted || is_planted("flow: an outdated making ends the one that is new");
      const bool stays = flight_->failure && is_planted("flow: a cache keeps a failure");
      if (is_listed && !stays) landed = of_.flights_.extract(key_);
    }
    const bool is_cancelled = !flight_->value && !flight_->failure;
    if (is_cancelled && is_planted("flow: a cancelled maker leaves those who share it waiting"))
      return;
    flight_->ended.set();
  }
  void made(const Value& value) {
    flight_->value.emplace(value);
    Key key = key_;
    Value kept = value;
    const time_point now = now_here();
    typename entry_map::node_type dropped;
    const guard held(of_.lock_);
    ++of_.stats_.made;
    if (flight_->is_wanted || is_planted("flow: a value that was erased while it was made is kept"))
      dropped = of_.keep(std::move(key), kept, now);
  }
  /// The old value, if it may serve now; else the failure is raised.
  Value failed(std::exception_ptr what) {
    const time_point now = now_here();
    std::optional<Value> old;
    {
      const guard held(of_.lock_);
      ++of_.stats_.failed;
      old = of_.stale(key_, now);
      of_.stats_.served_stale += old ? 1 : 0;
    }
    if (old) {
      log::warn("a stale value serves",
                {{"cache", of_.options_.name}, {"error", call_failure(what).text()}});
      flight_->value.emplace(*old);
      return std::move(*old);
    }
    flight_->failure = what;
    std::rethrow_exception(std::move(what));
  }

 private:
  basic_call_cache& of_;
  const Key& key_;
  flight_ptr flight_;
};

template <class Key, class Value, class Hash, class Reach>
template <class F>
task<Value> basic_call_cache<Key, Value, Hash, Reach>::get(Key key, F make) {
  finding found = look(key);
  while (!found.is_mine) {
    if (found.value) co_return std::move(*found.value);
    const flight_ptr other = std::move(found.made_by);
    co_await other->ended.wait();
    if (other->value) co_return *other->value;
    if (other->failure) std::rethrow_exception(other->failure);
    found = look(key);
  }
  maker mine(*this, key, std::move(found.made_by));
  std::exception_ptr failure;
  try {
    std::optional<Value> value;
    if constexpr (std::is_invocable_v<F&, const Key&>) {
      value.emplace(co_await make(std::as_const(key)));
    } else {
      value.emplace(co_await make());
    }
    mine.made(*value);
    co_return std::move(*value);
  } catch (...) {
    failure = std::current_exception();
  }
  co_return mine.failed(std::move(failure));
}

template <class Key, class Value, class Hash, class Reach>
auto basic_call_cache<Key, Value, Hash, Reach>::look(const Key& key) -> finding {
  const time_point now = now_here();
  finding found;
  const guard held(lock_);
  if (entry* hit = fresh(key, now)) {
    ++stats_.hits;
    use(*hit);
    found.value.emplace(hit->value);
    return found;
  }
  const auto under_way = flights_.find(key);
  found.is_mine = under_way == flights_.end();
  if (found.is_mine) {
    found.made_by = std::make_shared<flight>();
    flights_.emplace(key, found.made_by);  // (1)
  } else {
    found.made_by = under_way->second;
    WEIR_ASSERT(found.made_by->maker != loop::current()->running() &&
                "this task makes the value already");
    ++stats_.shared;
  }
  return found;
}

template <class Key, class Value, class Hash, class Reach>
auto basic_call_cache<Key, Value, Hash, Reach>::fresh(const Key& key, time_point now) -> entry* {
  const auto found = entries_.find(key);
  if (found == entries_.end()) return nullptr;
  return now < found->second.made + options_.fresh_for ? &found->second : nullptr;
}

template <class Key, class Value, class Hash, class Reach>
std::optional<Value> basic_call_cache<Key, Value, Hash, Reach>::stale(const Key& key,
                                                                      time_point now) {
  const auto found = entries_.find(key);
  if (found == entries_.end()) return std::nullopt;
  const time_point fresh_until = found->second.made + options_.fresh_for;
  if (now >= fresh_until + options_.stale_for) return std::nullopt;
  return found->second.value;
}

template <class Key, class Value, class Hash, class Reach>
void basic_call_cache<Key, Value, Hash, Reach>::use(entry& one) noexcept {
  one.unlink();
  used_.push_back(one);  // (2)
}

template <class Key, class Value, class Hash, class Reach>
std::optional<Value> basic_call_cache<Key, Value, Hash, Reach>::find(const Key& key) {
  const time_point now = now_here();
  const guard held(lock_);
  entry* const hit = fresh(key, now);
  if (!hit) return std::nullopt;
  ++stats_.hits;
  use(*hit);
  return hit->value;
}

template <class Key, class Value, class Hash, class Reach>
void basic_call_cache<Key, Value, Hash, Reach>::put(Key key, Value value) {
  const time_point now = now_here();
  typename flight_map::node_type outdated;
  typename entry_map::node_type dropped;
  const guard held(lock_);
  outdated = outdate_flight(key);
  dropped = keep(std::move(key), value, now);
}

// A value that is replaced leaves in `value`, one that makes room as a node.
template <class Key, class Value, class Hash, class Reach>
auto basic_call_cache<Key, Value, Hash, Reach>::keep(Key&& key, Value& value, time_point now) ->
    typename entry_map::node_type {
  if (options_.entries_max == 0 || options_.fresh_for <= duration()) return {};
  const auto [place, is_new] = entries_.try_emplace(std::move(key), std::move(value));
  entry& one = place->second;
  if (!is_new) std::swap(one.value, value);  // try_emplace left it alone
  one.made = now;
  one.key = &place->first;
  if (!is_new) one.unlink();
  used_.push_back(one);  // (2)
  if (entries_.size() <= options_.entries_max) return {};
  ++stats_.evicted;
  return entries_.extract(entries_.find(*used_.pop_front().key));
}

template <class Key, class Value, class Hash, class Reach>
auto basic_call_cache<Key, Value, Hash, Reach>::outdate_flight(const Key& key) ->
    typename flight_map::node_type {
  const auto under_way = flights_.find(key);
  if (under_way == flights_.end()) return {};
  under_way->second->is_wanted = false;
  return flights_.extract(under_way);  // (1)
}

template <class Key, class Value, class Hash, class Reach>
bool basic_call_cache<Key, Value, Hash, Reach>::erase(const Key& key) {
  typename flight_map::node_type outdated;
  typename entry_map::node_type dropped;
  const guard held(lock_);
  outdated = outdate_flight(key);
  const auto found = entries_.find(key);
  if (found == entries_.end()) return false;
  found->second.unlink();
  dropped = entries_.extract(found);
  return true;
}

template <class Key, class Value, class Hash, class Reach>
void basic_call_cache<Key, Value, Hash, Reach>::clear() {
  flight_map outdated;
  entry_map dropped;
  intrusive_list<entry> order;  // it lets go of the entries before they go
  const guard held(lock_);
  for (auto& [key, one] : flights_) one->is_wanted = false;
  outdated.swap(flights_);
  order.append(used_);
  dropped.swap(entries_);
}

template <class Key, class Value, class Hash, class Reach>
cache_stats basic_call_cache<Key, Value, Hash, Reach>::stats() const noexcept {
  const guard held(lock_);
  cache_stats shown = stats_;
  shown.entries = entries_.size();
  shown.in_flight = flights_.size();
  return shown;
}

}  // namespace weir::detail
