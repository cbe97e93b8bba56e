// Who can reach an object of flow: the tasks of one loop, or those of several. The hard idea: the
// rules of a channel or a lock are written once; the reach decides whether a lock guards them and
// how a waiter of another loop is told.
//
//   one_loop    nothing to lock, no atomics; a waiter is made ready at once. Once a task of a loop
//               has waited, a use on another one stops the process
//   many_loops  a short lock; a waiter of this loop is made ready, one of another gets a post, both
//               after the lock has been released, since the object may be gone the moment they know
//
// Invariants: (1) a place is linked exactly while its wait is undecided; both are changed under the
//                 lock, so a cancellation that finds it unlinked has lost to a result on its way.
#pragma once

#include <weir/base/intrusive.hpp>
#include <weir/core/frame_pool.hpp>
#include <weir/core/loop.hpp>
#include <weir/core/wait.hpp>
#include <weir/flow/short_lock.hpp>

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

namespace weir {
class bytes;
}

namespace weir::detail {

struct one_loop {
  static constexpr bool is_shared = false;

  /// Locks nothing; knows the loop whose tasks have waited.
  struct lock {
    const loop* home = nullptr;  // only compared
    std::uint32_t serial = 0;    // of that loop
    void check() const noexcept {
      if (home != loop::current() && home) [[unlikely]]
        check_use_away_from(serial);
    }
    void settle_here() noexcept {
      check();
      home = loop::current();
      serial = home->serial();
    }
  };
  /// Looks at the end, since what a wait says of its task where it is woken elsewhere is more.
  class [[maybe_unused]] guard {
   public:
    explicit guard(const lock& of) noexcept : of_(of) {}
    guard(const guard&) = delete;
    guard& operator=(const guard&) = delete;
    ~guard() { of_.check(); }

   private:
    const lock& of_;
  };
  /// For an await that may go on at once. Each look costs a nanosecond; a thread without a loop has
  /// no awaits, and of two loops that share a thing one soon has to wait.
  struct [[maybe_unused]] guard_of_await {
    explicit guard_of_await(const lock&) noexcept {}
  };
  /// A place in a line, inside a wait.
  struct place : list_hook<> {
    place() = default;
    place(place&&) noexcept {}  // only before the wait begins
    void stand(wait&) noexcept {}
  };
  /// Tells waits that they are over.
  struct [[maybe_unused]] wakes {
    template <class W>
    void add(W& one) noexcept {
      one.complete();
    }
  };
};

template <class Lock>
class held_lock {
 public:
  explicit held_lock(Lock& of) noexcept : of_(of) { of_.lock(); }
  held_lock(const held_lock&) = delete;
  held_lock& operator=(const held_lock&) = delete;
  ~held_lock() { of_.unlock(); }

 private:
  Lock& of_;
};

struct many_loops {
  static constexpr bool is_shared = true;

  using lock = short_lock;
  using guard = held_lock<lock>;
  using guard_of_await = guard;
  struct place : list_hook<>, post_node {
    wait* waiting = nullptr;
    loop* home = nullptr;
    place() = default;
    place(place&&) noexcept {}
    void stand(wait& one) noexcept {
      waiting = &one;
      home = loop::current();
      run = [](post_node& node) noexcept { static_cast<place&>(node).waiting->complete(); };
    }
  };
  /// Declared before the guard, so that it tells them after the unlock.
  class wakes {
   public:
    wakes() = default;
    wakes(const wakes&) = delete;
    wakes& operator=(const wakes&) = delete;
    ~wakes() {
      if (first_) [[unlikely]]
        tell();
    }
    void add(place& one) noexcept {
      one.next = nullptr;
      (last_ ? last_->next : first_) = &one;
      last_ = &one;
    }

   private:
    void tell() noexcept;

    post_node* first_ = nullptr;
    post_node* last_ = nullptr;
  };
};

/// Copies of what loops share are used and dropped by several threads at once, each without a lock:
/// `bytes`, whose count is not atomic, is not for that.
template <class T, class Reach>
inline constexpr bool may_be_shared = !Reach::is_shared || !std::is_same_v<T, bytes>;

/// A wait in a line of an object. Derived offers: `bool admit(wakes&) noexcept`, called under the
/// lock: what it waits for is there, and taken; `line()`, where it stands otherwise; `take()`; and
/// may offer `left(wakes&)`: it has left the line undecided, and `stood()`: it has taken its place.
/// Object offers `lock_`.
template <class Derived, class T, class Object, class Reach>
class line_wait : public leaf_wait<Derived, T>, public Reach::place {
 public:
  /// It leaves its line undecided, or had been decided and hears of it.
  static constexpr auto when_cancelled = cancel_safety::nothing_happened;

  line_wait(const wait_kind& kind, Object* of) noexcept : leaf_wait<Derived, T>(kind), of_(of) {}
  line_wait(line_wait&& other) noexcept = default;

  bool try_now() noexcept {
    typename Reach::wakes woken;
    const typename Reach::guard_of_await held(of_->lock_);
    return self().admit(woken);
  }
  void enlist() noexcept {
    if constexpr (Reach::is_shared) {
      if (stand_or_admit()) this->complete();
    } else {
      of_->lock_.settle_here();
      self().line().push_back(self());
      self().stood();
    }
  }
  void left(typename Reach::wakes&) noexcept {}
  void stood() noexcept {}

  static void leave(wait& w) noexcept {
    auto& self = static_cast<Derived&>(w);
    if (self.leave_line()) w.complete_cancelled();
  }

 protected:
  /// False: it was decided before, and hears of it.
  bool leave_line() noexcept {
    typename Reach::wakes woken;
    const typename Reach::guard held(of_->lock_);
    if (!this->is_linked()) return false;  // (1)
    this->unlink();
    self().left(woken);
    return true;
  }

  Object* of_;

 private:
  Derived& self() noexcept { return static_cast<Derived&>(*this); }
  // Between try_now and here another loop may have been busy.
  bool stand_or_admit() noexcept {
    typename Reach::wakes woken;
    const typename Reach::guard held(of_->lock_);
    if (self().admit(woken)) return true;
    this->stand(*this);
    self().line().push_back(self());
    self().stood();
    return false;
  }
};

/// A line_wait that ends as `closed` once nobody will come: Object offers `is_closed_`, too, and
/// Derived asks is_over() where it finds that it would have to wait.
template <class Derived, class T, class Object, class Reach>
class closable_wait : public line_wait<Derived, T, Object, Reach> {
 public:
  using line_wait<Derived, T, Object, Reach>::line_wait;
  void fail_closed() noexcept { is_closed_ = true; }

 protected:
  bool is_over() noexcept { return is_closed_ = this->of_->is_closed_; }

  bool is_closed_ = false;
};

/// Ends all waits of a line as `closed`: what each offers as `fail_closed()`.
template <class Line, class Wakes>
void close_line(Line& line, Wakes& woken) noexcept {
  while (!line.is_empty()) {
    auto& one = line.pop_front();
    one.fail_closed();
    woken.add(one);
  }
}

/// What halves share. It lives until the last of them has gone, and between loops until the last
/// wait that stood in line, too: a cancelled one looks at the lock even if its place has just been
/// decided elsewhere. Derived is what is deleted.
template <class Derived, class Reach>
struct counted_state {
  [[no_unique_address]] mutable typename Reach::lock lock_;
  std::size_t senders = 0;
  std::size_t receivers = 0;
  std::size_t standing = 0;  // waits that stand or have stood; between loops only

  static void* operator new(std::size_t size) {
    static_assert(alignof(Derived) <= frame_alignment,
                  "what goes through here is aligned to at most 16 bytes; use a std::unique_ptr");
    return allocate_frame(size);
  }
  static void operator delete(void* memory, std::size_t size) noexcept { free_frame(memory, size); }

  bool is_unused() const noexcept { return senders == 0 && receivers == 0 && standing == 0; }
  void add_one(std::size_t& to) noexcept {
    const typename Reach::guard held(lock_);
    ++to;
  }
  static void wait_gone(Derived* of) noexcept {
    bool is_last = false;
    {
      const typename Reach::guard held(of->lock_);
      --of->standing;
      is_last = of->is_unused();
    }
    if (is_last) delete of;
  }
};

/// A line_wait on a counted_state, or on none when its half was closed before: then try_now asks
/// Derived to `fail_closed()`. Keeps: the state is kept while the wait exists.
template <class Derived, class T, class State, class Reach, bool Keeps = Reach::is_shared>
class counted_wait : public line_wait<Derived, T, State, Reach> {
  using base = line_wait<Derived, T, State, Reach>;

 public:
  using base::base;
  counted_wait(counted_wait&& other) noexcept : base(static_cast<base&&>(other)) {}
  ~counted_wait() {
    if constexpr (Keeps) {
      if (has_stood_) State::wait_gone(this->of_);
    }
  }

  bool try_now() noexcept {
    if (this->of_) [[likely]]
      return base::try_now();
    static_cast<Derived*>(this)->fail_closed();
    return true;
  }
  void stood() noexcept {
    if constexpr (Keeps) {
      ++this->of_->standing;
      has_stood_ = true;
    }
  }

 private:
  bool has_stood_ = false;
};

}  // namespace weir::detail
