// Bodies of call_cache.hpp's templates.
#pragma once

#include <weir/flow/call_cache.hpp>

namespace weir {

/// Makes a value for all who wait; its end wakes them, whatever it was.
template <class Key, class Value, class Hash>
class call_cache<Key, Value, Hash>::maker {
 public:
  maker(call_cache& of, const Key& key) : of_(of), key_(key), flight_(std::make_shared<flight>()) {
    of_.flights_.emplace(key_, flight_);
  }
  maker(const maker&) = delete;
  maker& operator=(const maker&) = delete;
  ~maker() {
    if (flight_->is_wanted) of_.flights_.erase(key_);
    flight_->ended.notify_all();
  }
  void made(const Value& value) {
    ++of_.stats_.made;
    flight_->value.emplace(value);
    if (flight_->is_wanted) of_.keep(key_, value);
  }
  /// The old value, if it may serve now; else the failure is raised.
  Value failed(std::exception_ptr what) {
    ++of_.stats_.failed;
    if (const Value* old = of_.stale(key_)) {
      ++of_.stats_.served_stale;
      log::warn("a stale value serves",
                {{"cache", of_.options_.name}, {"error", call_failure(what).text()}});
      flight_->value.emplace(*old);
      return *old;
    }
    flight_->failure = what;
    std::rethrow_exception(std::move(what));
  }

 private:
  call_cache& of_;
  const Key& key_;
  flight_ptr flight_;
};

template <class Key, class Value, class Hash>
template <class F>
task<Value> call_cache<Key, Value, Hash>::get(Key key, F make) {
  for (;;) {
    if (entry* hit = fresh(key)) {
      ++stats_.hits;
      use(*hit);
      co_return hit->value;
    }
    const auto under_way = flights_.find(key);
    if (under_way == flights_.end()) break;
    const flight_ptr other = under_way->second;
    ++stats_.shared;
    co_await other->ended.wait();
    if (other->value) co_return *other->value;
    if (other->failure) std::rethrow_exception(other->failure);
  }
  maker mine(*this, key);
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

template <class Key, class Value, class Hash>
auto call_cache<Key, Value, Hash>::fresh(const Key& key) -> entry* {
  const auto found = entries_.find(key);
  if (found == entries_.end()) return nullptr;
  const bool is_fresh = loop::current()->now() < found->second.made + options_.fresh_for;
  return is_fresh ? &found->second : nullptr;
}

template <class Key, class Value, class Hash>
const Value* call_cache<Key, Value, Hash>::stale(const Key& key) {
  const auto found = entries_.find(key);
  if (found == entries_.end()) return nullptr;
  const time_point fresh_until = found->second.made + options_.fresh_for;
  return loop::current()->now() < fresh_until + options_.stale_for ? &found->second.value : nullptr;
}

template <class Key, class Value, class Hash>
void call_cache<Key, Value, Hash>::use(entry& one) noexcept {
  one.unlink();
  used_.push_back(one);  // (2)
}

template <class Key, class Value, class Hash>
std::optional<Value> call_cache<Key, Value, Hash>::find(const Key& key) {
  entry* const hit = fresh(key);
  if (!hit) return std::nullopt;
  ++stats_.hits;
  use(*hit);
  return hit->value;
}

template <class Key, class Value, class Hash>
void call_cache<Key, Value, Hash>::put(Key key, Value value) {
  outdate_flight(key);
  keep(std::move(key), std::move(value));
}

template <class Key, class Value, class Hash>
void call_cache<Key, Value, Hash>::keep(Key key, Value value) {
  if (options_.entries_max == 0 || options_.fresh_for <= duration()) return;
  const auto [place, is_new] = entries_.try_emplace(std::move(key), std::move(value));
  entry& one = place->second;
  if (!is_new) one.value = std::move(value);  // try_emplace left it alone
  one.made = loop::current()->now();
  one.key = &place->first;
  if (!is_new) one.unlink();
  used_.push_back(one);  // (2)
  if (entries_.size() > options_.entries_max) drop_oldest();
}

template <class Key, class Value, class Hash>
void call_cache<Key, Value, Hash>::drop_oldest() {
  ++stats_.evicted;
  entries_.erase(entries_.find(*used_.pop_front().key));
}

template <class Key, class Value, class Hash>
void call_cache<Key, Value, Hash>::outdate_flight(const Key& key) {
  const auto under_way = flights_.find(key);
  if (under_way == flights_.end()) return;
  under_way->second->is_wanted = false;
  flights_.erase(under_way);  // (1)
}

template <class Key, class Value, class Hash>
bool call_cache<Key, Value, Hash>::erase(const Key& key) {
  outdate_flight(key);
  const auto found = entries_.find(key);
  if (found == entries_.end()) return false;
  found->second.unlink();
  entries_.erase(found);
  return true;
}

template <class Key, class Value, class Hash>
void call_cache<Key, Value, Hash>::clear() {
  for (auto& [key, one] : flights_) one->is_wanted = false;
  flights_.clear();
  while (!used_.is_empty()) used_.pop_front();
  entries_.clear();
}

template <class Key, class Value, class Hash>
cache_stats call_cache<Key, Value, Hash>::stats() const noexcept {
  cache_stats shown = stats_;
  shown.entries = entries_.size();
  shown.in_flight = flights_.size();
  return shown;
}

}  // namespace weir
