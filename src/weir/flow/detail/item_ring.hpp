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
  explicit item_ring(std::size_t capacity) : capacity_(capacity), items_(allocate(capacity)) {}
  /// Takes over memory of allocate(), with `size` items from `first` on.
  item_ring(std::size_t capacity, T* items, std::size_t first, std::size_t size) noexcept
      : capacity_(capacity), items_(items), first_(first), size_(size) {}
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
  bool is_empty() const noexcept { return size_ == 0; }
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
  /// The items, which it has no more.
  item_ring take_rest() noexcept { return std::move(*this); }
  static T* allocate(std::size_t count) {
    if (count == 0) return nullptr;
    return static_cast<T*>(::operator new(count * sizeof(T), std::align_val_t{alignof(T)}));
  }

 private:
  std::size_t capacity_;
  T* items_;
  std::size_t first_ = 0;
  std::size_t size_ = 0;
};

}  // namespace weir::detail
