// Containers whose links live inside the elements: linking and unlinking allocate nothing and can't
// fail, which is what a wait queue needs (the element is the waiter's awaiter in its frame). The
// hard idea: an element unlinks itself without knowing its list, so cancelling a wait is O(1)
// anywhere.
//
//   list: ring through a sentinel        queue: chain with a pointer to its end
//   +-> sentinel <-> a <-> b <-+         first -> a -> b -> null
//   +--------------------------+         last  ----------^
#pragma once

#include <weir/base/assert.hpp>

#include <cstddef>

namespace weir {

template <class T, class Tag = void>
class intrusive_list;
template <class T, class Tag = void>
class intrusive_queue;

/// A base class: makes an object an element of an intrusive_list. With several tags, of several.
///
/// Cancel:  no waits.
/// Order:   none.
/// Bound:   two pointers; in at most one list per tag.
/// Errors:  destroying a linked element stops the process: its list would dangle.
/// Threads: those of its list.
template <class Tag = void>
class list_hook {
 public:
  list_hook() = default;
  list_hook(const list_hook&) = delete;
  list_hook& operator=(const list_hook&) = delete;
  ~list_hook() { WEIR_ASSERT(!is_linked()); }

  bool is_linked() const noexcept { return next_ != nullptr; }
  /// Takes the element out of its list; without effect when it is in none.
  void unlink() noexcept {
    if (!is_linked()) return;
    previous_->next_ = next_;
    next_->previous_ = previous_;
    previous_ = next_ = nullptr;
  }

 private:
  template <class, class>
  friend class intrusive_list;

  void link_before(list_hook* position) noexcept {
    WEIR_ASSERT(!is_linked());
    previous_ = position->previous_;
    next_ = position;
    previous_->next_ = this;
    position->previous_ = this;
  }

  list_hook* previous_ = nullptr;
  list_hook* next_ = nullptr;
};

/// A doubly linked list of elements that somebody else owns.
///
/// Cancel:  no waits.
/// Order:   as linked; unlinking one element leaves the order of the others.
/// Bound:   none of its own: it holds no memory. Elements are bounded by their owners.
/// Errors:  linking a linked element, or taking from an empty list, stops the process.
/// Threads: one at a time.
template <class T, class Tag>
class intrusive_list {
  using hook = list_hook<Tag>;

 public:
  // Enough for range-for and for walking both ways; the tags of std algorithms would cost this
  // header 10,000 preprocessed lines of <iterator>.
  class iterator {
   public:
    iterator() = default;
    T& operator*() const noexcept { return *static_cast<T*>(at_); }
    T* operator->() const noexcept { return static_cast<T*>(at_); }
    iterator& operator++() noexcept { return at_ = at_->next_, *this; }
    iterator& operator--() noexcept { return at_ = at_->previous_, *this; }
    bool operator==(const iterator&) const = default;

   private:
    friend class intrusive_list;
    explicit iterator(hook* at) noexcept : at_(at) {}
    hook* at_ = nullptr;
  };

  intrusive_list() noexcept { ends_.previous_ = ends_.next_ = &ends_; }
  intrusive_list(const intrusive_list&) = delete;
  intrusive_list& operator=(const intrusive_list&) = delete;
  /// Elements that are still linked are unlinked, not destroyed: they belong to others.
  ~intrusive_list() {
    clear();
    ends_.previous_ = ends_.next_ = nullptr;
  }

  void push_back(T& element) noexcept { link_of(element)->link_before(&ends_); }
  void push_front(T& element) noexcept { link_of(element)->link_before(ends_.next_); }
  /// Links `element` in front of `position`, which is in this list.
  void insert_before(T& position, T& element) noexcept {
    WEIR_ASSERT(link_of(position)->is_linked());
    link_of(element)->link_before(link_of(position));
  }
  /// O(1); the element must be in this list. The iterator after it.
  iterator erase(T& element) noexcept {
    hook* link = link_of(element);
    WEIR_ASSERT(link->is_linked());
    iterator after(link->next_);
    link->unlink();
    return after;
  }
  T& pop_front() noexcept {
    T& element = front();
    link_of(element)->unlink();
    return element;
  }
  /// Moves all elements of `other` to the end of this list, in their order; O(1).
  void append(intrusive_list& other) noexcept {
    WEIR_ASSERT(&other != this);
    if (other.is_empty()) return;
    other.ends_.next_->previous_ = ends_.previous_;
    ends_.previous_->next_ = other.ends_.next_;
    other.ends_.previous_->next_ = &ends_;
    ends_.previous_ = other.ends_.previous_;
    other.ends_.previous_ = other.ends_.next_ = &other.ends_;
  }
  void clear() noexcept {
    while (!is_empty()) ends_.next_->unlink();
  }

  bool is_empty() const noexcept { return ends_.next_ == &ends_; }
  T& front() noexcept {
    WEIR_ASSERT(!is_empty());
    return *static_cast<T*>(ends_.next_);
  }
  T& back() noexcept {
    WEIR_ASSERT(!is_empty());
    return *static_cast<T*>(ends_.previous_);
  }
  iterator begin() noexcept { return iterator(ends_.next_); }
  iterator end() noexcept { return iterator(&ends_); }
  /// Walks the list: for tests and listings. Elements leave by themselves, so no count is kept.
  std::size_t count() const noexcept {
    std::size_t found = 0;
    for (const hook* at = ends_.next_; at != &ends_; at = at->next_) ++found;
    return found;
  }

 private:
  static hook* link_of(T& element) noexcept { return &element; }

  hook ends_;  // next_ is the first element, previous_ the last
};

/// A base class: makes an object an element of an intrusive_queue.
///
/// Cancel:  no waits.
/// Order:   none; the queue keeps it.
/// Bound:   one pointer; an object is in at most one queue per Tag.
/// Errors:  none; it can't be copied, since a copy would not be linked.
/// Threads: those of the queue.
template <class Tag = void>
class queue_hook {
 public:
  queue_hook() = default;
  queue_hook(const queue_hook&) = delete;
  queue_hook& operator=(const queue_hook&) = delete;

 private:
  template <class, class>
  friend class intrusive_queue;
  queue_hook* next_ = nullptr;
};

/// A singly linked first-in-first-out queue of elements that somebody else owns.
///
/// Cancel:  no waits; an element can't be taken out of the middle (use intrusive_list for that).
/// Order:   first in, first out.
/// Bound:   none of its own: it holds no memory. Elements are bounded by their owners.
/// Errors:  taking from an empty queue stops the process.
/// Threads: one at a time.
template <class T, class Tag>
class intrusive_queue {
  using hook = queue_hook<Tag>;

 public:
  intrusive_queue() = default;
  intrusive_queue(const intrusive_queue&) = delete;
  intrusive_queue& operator=(const intrusive_queue&) = delete;

  void push(T& element) noexcept {
    hook* link = &element;
    WEIR_ASSERT(link->next_ == nullptr && link != last_);
    (last_ ? last_->next_ : first_) = link;
    last_ = link;
    ++count_;
  }
  T& pop() noexcept {
    WEIR_ASSERT(!is_empty());
    hook* link = first_;
    first_ = link->next_;
    if (!first_) last_ = nullptr;
    link->next_ = nullptr;
    --count_;
    return *static_cast<T*>(link);
  }
  /// Moves all elements of `other` behind those of this queue; O(1).
  void append(intrusive_queue& other) noexcept {
    WEIR_ASSERT(&other != this);
    if (other.is_empty()) return;
    (last_ ? last_->next_ : first_) = other.first_;
    last_ = other.last_;
    count_ += other.count_;
    other.first_ = other.last_ = nullptr;
    other.count_ = 0;
  }

  bool is_empty() const noexcept { return first_ == nullptr; }
  T& front() noexcept {
    WEIR_ASSERT(!is_empty());
    return *static_cast<T*>(first_);
  }
  std::size_t count() const noexcept { return count_; }

 private:
  hook* first_ = nullptr;
  hook* last_ = nullptr;
  std::size_t count_ = 0;
};

}  // namespace weir
