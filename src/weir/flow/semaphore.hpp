// semaphore: a number of permits that tasks take and give back. The hard idea: the line is strict,
// so a wait for many permits is not overtaken for ever by waits for few; and a wait that leaves the
// line lets those behind it be looked at again.
//
// Invariants: (1) the first in line asks for more than is free; (2) free + taken = total.
#pragma once

#include <weir/base/assert.hpp>
#include <weir/base/defect.hpp>
#include <weir/base/error.hpp>
#include <weir/flow/detail/reach.hpp>
#include <weir/flow/event.hpp>

#include <cstddef>
#include <optional>
#include <utility>

namespace weir {

struct semaphore_stats {
  std::size_t total = 0;
  std::size_t free = 0;
  std::size_t waiting = 0;  // tasks in line
};

namespace detail {

template <class Reach>
class basic_semaphore {
 public:
  /// Permits that go back when it is destroyed.
  class [[nodiscard]] permit {
   public:
    permit(permit&& other) noexcept
        : of_(std::exchange(other.of_, nullptr)), count_(std::exchange(other.count_, 0)) {}
    permit& operator=(permit other) noexcept {
      std::swap(of_, other.of_);
      std::swap(count_, other.count_);
      return *this;
    }
    ~permit() { release(); }
    /// Gives them back before the end of the block; idempotent.
    void release() noexcept {
      if (of_) std::exchange(of_, nullptr)->give_back(std::exchange(count_, 0));
    }
    std::size_t count() const noexcept { return count_; }

   private:
    friend class basic_semaphore;
    permit(basic_semaphore* of, std::size_t count) noexcept : of_(of), count_(count) {}
    basic_semaphore* of_;
    std::size_t count_;
  };

  explicit basic_semaphore(std::size_t permits, const char* name = "semaphore") noexcept
      : total_(permits), free_(permits), name_(name) {}
  basic_semaphore(const basic_semaphore&) = delete;
  basic_semaphore& operator=(const basic_semaphore&) = delete;
  ~basic_semaphore() {
    WEIR_ASSERT(line_.is_empty() && free_ == total_ && "destroyed while permits are out");  // (2)
  }

  class awaiter final : public line_wait<awaiter, permit, basic_semaphore, Reach> {
    using base = line_wait<awaiter, permit, basic_semaphore, Reach>;

   public:
    awaiter(basic_semaphore& of, std::size_t count) noexcept : base(kind_, &of), count_(count) {}
    bool admit(typename Reach::wakes&) noexcept { return this->of_->admit(*this); }
    void left(typename Reach::wakes& woken) noexcept {
      if (!is_planted("flow: who leaves the line of a semaphore holds up those behind"))
        this->of_->serve(woken);
    }
    auto& line() noexcept { return this->of_->line_; }
    void fail_closed() noexcept { failed_ = errc::closed; }
    result<permit> take() noexcept {
      if (failed_ == errc{}) return permit(this->of_, count_);
      if (failed_ == errc::closed) return fail(failed_, "acquire: the semaphore was closed");
      return fail(failed_, "acquire: asks for more permits than the semaphore has");
    }

   private:
    friend class basic_semaphore;
    static void describe(const wait& w, text_sink& out) noexcept {
      const auto& self = static_cast<const awaiter&>(w);
      out.put_number(self.count_);
      out.put(" of ");
      out.put(self.of_->name_);
    }
    static constexpr wait_kind kind_{"permits", &base::leave, &describe};
    std::size_t count_;
    errc failed_{};
  };
  /// Waits for `count` permits at once: `auto slot = co_await uploads.acquire();`
  [[nodiscard]] awaiter acquire(std::size_t count = 1) noexcept { return awaiter(*this, count); }
  /// Never waits: nothing when they are not free, others wait, or it is closed.
  [[nodiscard]] std::optional<permit> try_acquire(std::size_t count = 1) noexcept {
    const typename Reach::guard held(lock_);
    if (is_closed_ || !line_.is_empty() || count > free_) return std::nullopt;
    free_ -= count;
    return permit(this, count);
  }
  /// Makes it larger. More permits than a std::size_t counts stop the process.
  void add(std::size_t count) noexcept {
    typename Reach::wakes woken;
    const typename Reach::guard held(lock_);
    WEIR_ASSERT(count <= SIZE_MAX - total_ && "a semaphore has more permits than can be counted");
    total_ += count;
    free_ += count;
    serve(woken);
  }
  /// From now on every acquire(), also those that wait, fails with `closed`. Permits that are out
  /// can still be given back.
  void close() noexcept {
    typename Reach::wakes woken;
    const typename Reach::guard held(lock_);
    is_closed_ = true;
    close_line(line_, woken);
  }
  const char* name() const noexcept { return name_; }
  semaphore_stats stats() const noexcept {
    const typename Reach::guard held(lock_);
    return {.total = total_, .free = free_, .waiting = line_.count()};
  }

 private:
  friend class awaiter;
  template <class, class, class, class>
  friend class line_wait;

  bool admit(awaiter& one) noexcept {
    if (is_closed_) return one.fail_closed(), true;
    if (one.count_ > total_) return one.failed_ = errc::invalid_argument, true;
    if (!line_.is_empty() || one.count_ > free_) return false;
    free_ -= one.count_;
    return true;
  }
  void give_back(std::size_t count) noexcept {
    typename Reach::wakes woken;
    const typename Reach::guard held(lock_);
    free_ += count;
    serve(woken);
  }
  void serve(typename Reach::wakes& woken) noexcept {
    while (!line_.is_empty() && line_.front().count_ <= free_) {  // (1)
      awaiter& one = line_.pop_front();
      free_ -= one.count_;
      woken.add(one);
      if (is_planted("flow: several permits that come back wake one task")) return;
    }
  }

  [[no_unique_address]] mutable typename Reach::lock lock_;
  bool is_closed_ = false;
  std::size_t total_;
  std::size_t free_;
  const char* name_;
  intrusive_list<awaiter> line_;
};

}  // namespace detail

/// Permits that bound how many tasks do something at once.
///
/// Cancel:  a cancelled acquire() keeps nothing; one that was given its permits goes on with them
///          first.
/// Order:   first come, first served, whatever the counts.
/// Bound:   nothing is allocated; waiters are bounded by their scopes.
/// Errors:  `closed` after close(); `invalid_argument` for more permits than there are.
/// Threads: one loop; cross::semaphore is for several.
class semaphore final : public detail::basic_semaphore<detail::one_loop> {
 public:
  using basic_semaphore::basic_semaphore;
};

namespace cross {

/// weir::semaphore for tasks of several loops; add(), close() and permits' ends on any thread.
///
/// Cancel:  a cancelled acquire() keeps nothing; one that was given its permits goes on with them
///          first.
/// Order:   first come, first served, whatever the counts.
/// Bound:   nothing is allocated; waiters are bounded by their scopes.
/// Errors:  `closed` after close(); `invalid_argument` for more permits than there are.
/// Threads: any; it outlives every permit.
class semaphore final : public detail::basic_semaphore<detail::many_loops> {
 public:
  using basic_semaphore::basic_semaphore;
};

}  // namespace cross
}  // namespace weir
