// shared_mutex: many readers or one writer. The hard idea: readers and writers stand in one line,
// so a stream of readers can't hold off a writer, nor writers a reader.
//
// Invariants: (1) a writer holds alone; (2) the first in line can't be let in now; (3) a place of
//             known_ names a task exactly while that reads, and has not handed its guard over.
#pragma once

#include <weir/base/assert.hpp>
#include <weir/base/defect.hpp>
#include <weir/flow/detail/reach.hpp>
#include <weir/flow/event.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

namespace weir {

namespace detail {

template <class Reach>
class basic_shared_mutex {
 public:
  enum class mode : std::uint8_t { exclusive, shared };
  /// Readers whose tasks are known at a time, so that one that locks again can be told.
  static constexpr std::size_t known_readers_max = 8;

  /// Holds the lock in its mode until it is destroyed. Stays with the task that locked, but by
  /// hand_over().
  class [[nodiscard]] guard {
   public:
    guard(guard&& other) noexcept
        : of_(std::exchange(other.of_, nullptr)), mode_(other.mode_), place_(other.place_) {}
    guard& operator=(guard other) noexcept {
      std::swap(of_, other.of_);
      std::swap(mode_, other.mode_);
      std::swap(place_, other.place_);
      return *this;
    }
    ~guard() { unlock(); }
    /// Lets go before the end of the block; idempotent.
    void unlock() noexcept {
      if (of_) std::exchange(of_, nullptr)->unlock(mode_, place_);
    }
    /// For a task that it goes to, as mutex's: from here on its holder is not known.
    [[nodiscard]] guard hand_over() noexcept {
      if (of_) of_->forget_holder(mode_, std::exchange(place_, unknown));
      return std::move(*this);
    }

   private:
    friend class basic_shared_mutex;
    guard(basic_shared_mutex* of, mode how, std::uint8_t place) noexcept
        : of_(of), mode_(how), place_(place) {}
    basic_shared_mutex* of_;
    mode mode_;
    std::uint8_t place_;  // of known_
  };

  basic_shared_mutex() = default;
  explicit basic_shared_mutex(const char* name) noexcept : name_(name) {}
  basic_shared_mutex(const basic_shared_mutex&) = delete;
  basic_shared_mutex& operator=(const basic_shared_mutex&) = delete;
  ~basic_shared_mutex() {
    WEIR_ASSERT(!has_writer_ && readers_ == 0 && line_.is_empty() && "destroyed while it is held");
  }

  class awaiter final : public line_wait<awaiter, guard, basic_shared_mutex, Reach> {
    using base = line_wait<awaiter, guard, basic_shared_mutex, Reach>;

   public:
    awaiter(basic_shared_mutex& of, mode how) noexcept : base(kind_, &of), mode_(how) {}
    bool admit(typename Reach::wakes&) noexcept {
      WEIR_ASSERT((!this->of_->has_writer_ || this->of_->writer_ != this->task) &&
                  "this task holds the mutex already");
      const bool overtakes =
          mode_ == mode::shared && is_planted("flow: readers overtake a writer in line");
      if ((overtakes || this->of_->line_.is_empty()) && this->of_->let_in(*this)) return true;
      WEIR_ASSERT(!this->of_->is_known_reader(this->task) &&
                  "this task reads under the mutex already, and would wait for itself");
      return false;
    }
    void left(typename Reach::wakes& woken) noexcept { this->of_->serve(woken); }
    auto& line() noexcept { return this->of_->line_; }
    result<guard> take() noexcept { return guard(this->of_, mode_, place_); }

   private:
    friend class basic_shared_mutex;
    static void describe(const wait& w, text_sink& out) noexcept {
      const auto& self = static_cast<const awaiter&>(w);
      out.put(self.mode_ == mode::shared ? "shared, " : "exclusive, ");
      out.put(self.of_->name_);
    }
    static const task_header* held_by(const wait& w) noexcept {
      return static_cast<const awaiter&>(w).of_->writer_;
    }
    static constexpr wait_kind kind_{
        .name = "shared_mutex", .cancel = &base::leave, .describe = &describe, .held_by = &held_by};
    mode mode_;
    std::uint8_t place_ = unknown;  // written by who lets it in
  };
  /// Waits until nobody else holds it.
  [[nodiscard]] awaiter lock() noexcept { return awaiter(*this, mode::exclusive); }
  /// Waits until no writer holds it, nor stands before this in line.
  [[nodiscard]] awaiter lock_shared() noexcept { return awaiter(*this, mode::shared); }
  /// Never waits: nothing when it is not free.
  [[nodiscard]] std::optional<guard> try_lock() noexcept { return try_in(mode::exclusive); }
  [[nodiscard]] std::optional<guard> try_lock_shared() noexcept { return try_in(mode::shared); }

  std::size_t readers() const noexcept {
    const typename Reach::guard held(lock_);
    return readers_;
  }
  bool has_writer() const noexcept {
    const typename Reach::guard held(lock_);
    return has_writer_;
  }
  const char* name() const noexcept { return name_; }
  line_stats stats() const noexcept {
    const typename Reach::guard held(lock_);
    return {.waiting = line_.count()};
  }

 private:
  friend class awaiter;
  template <class, class, class, class>
  friend class line_wait;

  static constexpr std::uint8_t unknown = known_readers_max;

  bool let_in(awaiter& one) noexcept { return let_in(one.mode_, one.task, one.place_); }
  bool let_in(mode how, const task_header* task, std::uint8_t& place) noexcept {
    if (has_writer_ || (how == mode::exclusive && readers_ != 0)) return false;  // (1)
    if (how == mode::exclusive) {
      has_writer_ = true;
      writer_ = task;
    } else {
      ++readers_;
      place = remember(task);
    }
    return true;
  }
  std::uint8_t remember(const task_header* task) noexcept {
    const auto free = std::ranges::find(known_, nullptr);
    if (free == known_.end()) return unknown;
    *free = task;
    return static_cast<std::uint8_t>(free - known_.begin());
  }
  void forget_reader(std::uint8_t place) noexcept {
    if (place != unknown) known_[place] = nullptr;  // (3)
  }
  bool is_known_reader(const task_header* task) const noexcept {
    return std::ranges::find(known_, task) != known_.end();
  }
  std::optional<guard> try_in(mode how) noexcept {
    const typename Reach::guard held(lock_);
    loop* const on = loop::current();
    std::uint8_t place = unknown;
    if (!line_.is_empty() || !let_in(how, on ? on->running() : nullptr, place)) return std::nullopt;
    return guard(this, how, place);
  }
  void forget_holder(mode how, std::uint8_t place) noexcept {
    const typename Reach::guard held(lock_);
    if (how == mode::exclusive) {
      writer_ = nullptr;
    } else {
      forget_reader(place);
    }
  }
  void unlock(mode how, std::uint8_t place) noexcept {
    typename Reach::wakes woken;
    const typename Reach::guard held(lock_);
    if (how == mode::exclusive) {
      has_writer_ = false;
      writer_ = nullptr;
    } else {
      --readers_;
      forget_reader(place);
    }
    serve(woken);
  }
  void serve(typename Reach::wakes& woken) noexcept {
    while (!line_.is_empty() && let_in(line_.front()))  // (2)
      woken.add(line_.pop_front());
  }

  [[no_unique_address]] mutable typename Reach::lock lock_;
  bool has_writer_ = false;
  const task_header* writer_ = nullptr;  // only compared, as those of known_: they may have ended
  std::size_t readers_ = 0;
  std::array<const task_header*, known_readers_max> known_ = {};  // (3)
  const char* name_ = "shared_mutex";
  intrusive_list<awaiter> line_;
};

}  // namespace detail

/// A lock for one writer or many readers, held across waits.
///
/// Cancel:  a cancelled lock holds nothing; one that was given the lock goes on with it first.
/// Order:   first come, first served; readers next to each other in line go in together.
/// Bound:   nothing is allocated; waiters are bounded by their scopes.
/// Errors:  destroying it while it is held stops the process, and so does locking it in a task that
///          holds it where that would wait for itself: in either mode for who writes, and for who
///          reads lock(), or lock_shared() behind one who waits to write. Of more readers at once
///          than known_readers_max, those that came last are only counted, and not told.
/// Threads: one loop; cross::shared_mutex is for several.
class shared_mutex final : public detail::basic_shared_mutex<detail::one_loop> {
 public:
  using basic_shared_mutex::basic_shared_mutex;
};

namespace cross {

/// weir::shared_mutex for tasks of several loops.
///
/// Cancel:  a cancelled lock holds nothing; one that was given the lock goes on with it first.
/// Order:   first come, first served; readers next to each other in line go in together.
/// Bound:   nothing is allocated; waiters are bounded by their scopes.
/// Errors:  destroying it while it is held stops the process, and so does locking it in a task that
///          holds it where that would wait for itself: in either mode for who writes, and for who
///          reads lock(), or lock_shared() behind one who waits to write. Of more readers at once
///          than known_readers_max, those that came last are only counted, and not told.
/// Threads: any; it outlives every holder.
class shared_mutex final : public detail::basic_shared_mutex<detail::many_loops> {
 public:
  using basic_shared_mutex::basic_shared_mutex;
};

}  // namespace cross
}  // namespace weir
