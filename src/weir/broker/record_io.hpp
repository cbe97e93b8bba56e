// Internal to the broker: the two directions of fields(). One description of a record's layout
// serves both, so writing and reading can't drift apart.
#pragma once

#include <weir/base/assert.hpp>
#include <weir/broker/broker_record.hpp>

#include <bit>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace weir::detail {

static_assert(std::endian::native == std::endian::little, "numbers are copied as they lie");

template <class T>
concept plain_number = std::is_integral_v<T> || std::is_floating_point_v<T>;

class field_writer {
 public:
  explicit field_writer(std::string& to) noexcept : to_(to) {}

  template <class... T>
  void operator()(const T&... values) {
    (put(values), ...);
  }

 private:
  template <plain_number T>
  void put(const T& value) {
    char raw[sizeof(T)];
    std::memcpy(raw, &value, sizeof(T));
    to_.append(raw, sizeof(T));
  }
  void put(const std::string_view& text) {
    WEIR_ASSERT(text.size() <= UINT16_MAX);
    put(static_cast<std::uint16_t>(text.size()));
    to_.append(text);
  }
  void put(const std::string& text) { put(std::string_view(text)); }
  void put(const tail_text& tail) { to_.append(tail.text); }
  void put(const location& where) { (*this)(where.segment, where.offset, where.size); }
  void put(const message_state& state) { put(static_cast<std::uint8_t>(state)); }
  template <class T>
  void put(const std::vector<T>& list) {
    put(static_cast<std::uint32_t>(list.size()));
    for (const T& item : list) put(item);
  }
  void put(const duration& length) { put(length.ns); }
  void put(const queue_settings& s) {
    (*this)(s.capacity_messages, s.capacity_bytes, s.lease, s.attempts, s.backoff.first,
            s.backoff.max, s.backoff.factor, s.backoff.jitter, s.dead_letter, s.ttl, s.result_ttl,
            s.key_window, static_cast<std::uint8_t>(s.push ? 1 : 0));
    if (s.push) (*this)(s.push->url, s.push->concurrency, s.push->rate, s.push->timeout);
  }
  template <class T>
    requires requires(const T& item, field_writer& io) { item.fields(io); }
  void put(const T& item) {
    item.fields(*this);
  }

  std::string& to_;
};

/// Reads fields from the front of a view; after a failure all further reads fail.
class field_reader {
 public:
  explicit field_reader(std::string_view from) noexcept : from_(from) {}

  template <class... T>
  void operator()(T&... values) {
    (get(values), ...);
  }

  bool is_ok() const noexcept { return is_ok_; }
  std::string_view rest() const noexcept { return from_; }

 private:
  std::string_view take(std::size_t size) noexcept {
    if (size > from_.size()) is_ok_ = false;
    if (!is_ok_) return {};
    const std::string_view taken = from_.substr(0, size);
    from_.remove_prefix(size);
    return taken;
  }
  template <plain_number T>
  void get(T& value) noexcept {
    const std::string_view raw = take(sizeof(T));
    if (is_ok_) std::memcpy(&value, raw.data(), sizeof(T));
  }
  void get(std::string_view& text) noexcept {
    std::uint16_t size = 0;
    get(size);
    text = take(size);
  }
  void get(std::string& text) {
    std::string_view view;
    get(view);
    text = view;
  }
  void get(tail_text& tail) noexcept { tail.text = take(from_.size()); }
  void get(location& where) noexcept { (*this)(where.segment, where.offset, where.size); }
  void get(message_state& state) noexcept {
    std::uint8_t number = 0;
    get(number);
    if (number >= message_states) is_ok_ = false;
    if (is_ok_) state = static_cast<message_state>(number);
  }
  template <class T>
  void get(std::vector<T>& list) {
    std::uint32_t count = 0;
    get(count);
    // A count that can't be true must not reserve memory: every item has at least 8 bytes.
    if (count > from_.size() / 8) is_ok_ = false;
    if (!is_ok_) return;
    list.resize(count);
    for (T& item : list) get(item);
  }
  void get(duration& length) noexcept { get(length.ns); }
  void get(queue_settings& s) {
    std::uint8_t has_push = 0;
    (*this)(s.capacity_messages, s.capacity_bytes, s.lease, s.attempts, s.backoff.first,
            s.backoff.max, s.backoff.factor, s.backoff.jitter, s.dead_letter, s.ttl, s.result_ttl,
            s.key_window, has_push);
    if (has_push > 1) is_ok_ = false;
    if (has_push == 0 || !is_ok_) return;
    s.push.emplace();
    (*this)(s.push->url, s.push->concurrency, s.push->rate, s.push->timeout);
  }
  template <class T>
    requires requires(T& item, field_reader& io) { item.fields(io); }
  void get(T& item) {
    item.fields(*this);
  }

  std::string_view from_;
  bool is_ok_ = true;
};

}  // namespace weir::detail
