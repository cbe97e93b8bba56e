// shared_mutex: many readers or one writer. The hard idea: readers and writers stand in one line,
// so a stream of readers can't hold off a writer, nor writers a reader.
//
// Invariants: (1) a writer holds alone; (2) the first in line can't be let in now.
#pragma once

#include <weir/base/assert.hpp>
#include <weir/flow/detail/reach.hpp>
#include <weir/flow/event.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

namespace weir {

/// A lock for one writer or many readers, held across waits.
///
/// Cancel:  a cancelled lock holds nothing; one that was given the lock goes on with it first.
/// Order:   first come, first served; readers next to each other in line go in together.
/// Bound:   nothing is allocated; waiters are bounded by their scopes.
/// Errors:  destroying it while it is held stops the process.
/// Threads: one loop.
class shared_mutex {
 public:
  enum class mode : std::uint8_t { exclusive, shared };

  /// Holds the lock in its mode until it is destroyed.
  class [[nodiscard]] guard {
   public:
    guard(guard&& other) noexcept : of_(std::exchange(other.of_, nullptr)), mode_(other.mode_) {}
    guard& operator=(guard other) noexcept {
      std::swap(of_, other.of_);
      std::swap(mode_, other.mode_);
      return *this;
    }
    ~guard() { unlock(); }
    /// Lets go before the end of the block; idempotent.
    void unlock() noexcept {
      if (of_) std::exchange(of_, nullptr)->unlock(mode_);
    }

   private:
    friend class shared_mutex;
    guard(shared_mutex* of, mode how) noexcept : of_(of), mode_(how) {}
    shared_mutex* of_;
    mode mode_;
  };

  shared_mutex() = default;
  explicit shared_mutex(const char* name) noexcept : name_(name) {}
  shared_mutex(const shared_mutex&) = delete;
  shared_mutex& operator=(const shared_mutex&) = delete;
  ~shared_mutex() {
    WEIR_ASSERT(!has_writer_ && readers_ == 0 && line_.is_empty() && "destroyed while it is held");
  }

  class awaiter final : public detail::line_wait<awaiter, guard, shared_mutex, detail::one_loop> {
   public:
    awaiter(shared_mutex& of, mode how) noexcept : line_wait(kind_, &of), mode_(how) {}
    bool admit(detail::one_loop::wakes&) noexcept {
      return of_->line_.is_empty() && of_->let_in(mode_);
    }
    void left(detail::one_loop::wakes&) noexcept { of_->serve(); }
    auto& line() noexcept { return of_->line_; }
    result<guard> take() noexcept { return guard(of_, mode_); }

   private:
    friend class shared_mutex;
    static void describe(const detail::wait& w, detail::text_sink& out) noexcept {
      const auto& self = static_cast<const awaiter&>(w);
      out.put(self.mode_ == mode::shared ? "shared, " : "exclusive, ");
      out.put(self.of_->name_);
    }
    static constexpr detail::wait_kind kind_{"shared_mutex", &leave, &describe};
    mode mode_;
  };
  /// Waits until nobody else holds it.
  [[nodiscard]] awaiter lock() noexcept { return awaiter(*this, mode::exclusive); }
  /// Waits until no writer holds it, nor stands before this in line.
  [[nodiscard]] awaiter lock_shared() noexcept { return awaiter(*this, mode::shared); }
  /// Never waits: nothing when it is not free.
  [[nodiscard]] std::optional<guard> try_lock() noexcept { return try_in(mode::exclusive); }
  [[nodiscard]] std::optional<guard> try_lock_shared() noexcept { return try_in(mode::shared); }

  std::size_t readers() const noexcept { return readers_; }
  bool has_writer() const noexcept { return has_writer_; }
  const char* name() const noexcept { return name_; }
  line_stats stats() const noexcept { return {.waiting = line_.count()}; }

 private:
  template <class, class, class, class>
  friend class detail::line_wait;

  bool let_in(mode how) noexcept {
    if (has_writer_ || (how == mode::exclusive && readers_ != 0)) return false;  // (1)
    if (how == mode::exclusive) {
      has_writer_ = true;
    } else {
      ++readers_;
    }
    return true;
  }
  std::optional<guard> try_in(mode how) noexcept {
    if (!line_.is_empty() || !let_in(how)) return std::nullopt;
    return guard(this, how);
  }
  void unlock(mode how) noexcept {
    if (how == mode::exclusive) {
      has_writer_ = false;
    } else {
      --readers_;
    }
    serve();
  }
  void serve() noexcept {
    while (!line_.is_empty() && let_in(line_.front().mode_)) line_.pop_front().complete();  // (2)
  }

  [[no_unique_address]] detail::one_loop::lock lock_;
  bool has_writer_ = false;
  std::size_t readers_ = 0;
  const char* name_ = "shared_mutex";
  intrusive_list<awaiter> line_;
};

}  // namespace weir
