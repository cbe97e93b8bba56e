// A ring of items in memory of its own, which never grows.
#pragma once

#include <cstddef>
#include <new>
#include <utility>

namespace weir::detail {

/// The places of a channel, used round.
template <class T>
class item_ring {
 public:
  explicit item_ring(std::size_t capacity)
      : capacity_(capacity), items_(capacity == 0 ? nullptr : allocate(capacity)) {}
  item_ring(item_ring&& other) noexcept
      : capacity_(other.capacity_),
        items_(std::exchange(other.items_, nullptr)),
        first_(other.first_),
        size_(std::exchange(other.size_, 0)) {}
  item_ring& operator=(item_ring&&) = delete;
  ~item_ring() {
    while (size_ != 0) static_cast<void>(pop());
    if (items_) ::operator delete(items_, std::align_val_t{alignof(T)});
  }

  bool is_full() const noexcept { return size_ == capacity_; }
  std::size_t size() const noexcept { return size_; }
  std::size_t capacity() const noexcept { return capacity_; }
  void push(T& item) noexcept {
    std::size_t at = first_ + size_;
    if (at >= capacity_) at -= capacity_;
    ::new (static_cast<void*>(items_ + at)) T(std::move(item));
    ++size_;
  }
  T pop() noexcept {
    T* at = items_ + first_;
    T item = std::move(*at);
    at->~T();
    if (++first_ == capacity_) first_ = 0;
    --size_;
    return item;
  }

 private:
  static T* allocate(std::size_t count) {
    return static_cast<T*>(::operator new(count * sizeof(T), std::align_val_t{alignof(T)}));
  }
  std::size_t capacity_;
  T* items_;
  std::size_t first_ = 0;
  std::size_t size_ = 0;
};

}  // namespace weir::detail
