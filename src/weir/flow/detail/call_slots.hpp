// Places for calls: so many at once, and so many that wait for one, for so long. What bulkhead and
// concurrency_limit are made of. The hard idea: the limit may fall below what runs; then places are
// not given away again until it fits. How long a call waits is a timer of its own loop, while its
// place may come from another one: who leaves the line first, under the lock, decides, and the
// timer is taken back at home, when the wait itself goes.
//
// Invariants: (1) calls stand in line only while `running` >= `limit`; (2) a timer that fires for a
//                 wait that is no longer in line has lost to a place on its way.
#pragma once

#include <weir/core/timer_wheel.hpp>
#include <weir/flow/call_failure.hpp>
#include <weir/flow/detail/reach.hpp>

#include <cstdint>
#include <utility>

namespace weir {

struct slots_stats {
  std::uint32_t limit = 0;
  std::uint32_t running = 0;
  std::uint32_t waiting = 0;
  std::uint64_t admitted = 0;
  std::uint64_t refused = 0;  // the line was full, or the wait too long
};

namespace detail {

struct slots_options {
  const char* name;
  std::uint32_t limit;
  std::uint32_t queue_max;
  duration wait_max;
};

/// What was given, or `invalid_argument` in the name of `policy` when it can't be meant.
slots_options checked(const char* policy, const slots_options& given);

template <class Reach>
class call_slots {
 public:
  /// A place that goes back when it is destroyed.
  class [[nodiscard]] slot {
   public:
    explicit slot(call_slots* of) noexcept : of_(of) {}
    slot(slot&& other) noexcept : of_(std::exchange(other.of_, nullptr)) {}
    slot& operator=(slot&&) = delete;
    void succeeded() const noexcept {}
    void failed(const call_failure&) const noexcept {}
    ~slot() {
      if (of_) of_->give_back();
    }

   private:
    call_slots* of_;
  };

  explicit call_slots(const slots_options& options) noexcept : options_(options) {}
  call_slots(const call_slots&) = delete;
  call_slots& operator=(const call_slots&) = delete;
  ~call_slots() { WEIR_ASSERT(line_.is_empty() && running_ == 0 && "destroyed under a call"); }

  class awaiter final : public line_wait<awaiter, slot, call_slots, Reach> {
    using base = line_wait<awaiter, slot, call_slots, Reach>;

   public:
    explicit awaiter(call_slots& of) noexcept : base(kind_, &of) {}
    awaiter(awaiter&& other) noexcept : base(static_cast<base&&>(other)) {}
    ~awaiter() {
      if (timer_.is_set()) loop::current()->remove_timer(timer_);
    }
    bool admit(typename Reach::wakes&) noexcept;
    void enlist() noexcept;
    void stood() noexcept;
    void left(typename Reach::wakes&) noexcept { --this->of_->waiting_; }
    auto& line() noexcept { return this->of_->line_; }
    result<slot> take() noexcept;
    /// Raises call_refused when the line was full or the wait too long.
    slot await_resume();

   private:
    friend class call_slots;
    struct wait_timer : callback_timer {
      awaiter* of = nullptr;
    };
    enum class end : std::uint8_t { admitted, full, too_late };
    void took_too_long() noexcept;
    error why() const noexcept;
    static void describe(const wait& w, text_sink& out) noexcept;
    static constexpr wait_kind kind_{"a place for a call", &base::leave, &describe};
    end end_ = end::admitted;
    wait_timer timer_;
  };
  [[nodiscard]] awaiter acquire() noexcept { return awaiter(*this); }

  /// True when a call would get a place at once.
  bool is_ready() const noexcept {
    const typename Reach::guard held(lock_);
    return has_place();
  }
  std::uint32_t running() const noexcept {
    const typename Reach::guard held(lock_);
    return running_;
  }
  /// Those that get a place are told by `woken`, once the caller holds no lock any more.
  void set_limit(std::uint32_t limit, typename Reach::wakes& woken) noexcept;
  const char* name() const noexcept { return options_.name; }
  slots_stats stats() const noexcept;

 private:
  friend class awaiter;
  template <class, class, class, class>
  friend class line_wait;

  bool has_place() const noexcept { return running_ < options_.limit; }
  void take_one() noexcept {
    ++running_;
    ++admitted_;
  }
  void give_back() noexcept;
  void serve(typename Reach::wakes& woken) noexcept;

  [[no_unique_address]] mutable typename Reach::lock lock_;
  slots_options options_;
  std::uint32_t running_ = 0;
  std::uint32_t waiting_ = 0;
  std::uint64_t admitted_ = 0;
  std::uint64_t refused_ = 0;
  intrusive_list<awaiter> line_;  // (1)
};

extern template class call_slots<one_loop>;
extern template class call_slots<many_loops>;

}  // namespace detail
}  // namespace weir
