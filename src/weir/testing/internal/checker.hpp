// One check: the threads, who goes next, and the runs one after the other.
#pragma once

#include <weir/sim/odometer.hpp>
#include <weir/testing/internal/fibre.hpp>
#include <weir/testing/internal/model_steps.hpp>
#include <weir/testing/memory_model.hpp>
#include <weir/testing/model_checker.hpp>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace weir::model::detail {

static_assert(locations_max <= 64, "a bit each");

/// Thrown by parallel() into a body whose run has failed.
struct run_over {};

/// Runs a body in every way.
class checker {
 public:
  checker(const check_options& options, thread_body body);
  checker(const checker&) = delete;
  checker& operator=(const checker&) = delete;
  ~checker();

  static checker& current() noexcept;

  verdict run();
  void parallel(const thread_body* threads, std::uint32_t count);
  /// The first failure of a run is kept. Whoever fails gives up in another statement, so that no
  /// text is left on a stack that is never gone back to.
  void fail(std::string text);
  void give_up();

  location_id make_location(std::uint64_t initial);
  std::uint64_t load(location_id at, std::memory_order order, place where);
  void store(location_id at, std::uint64_t value, std::memory_order order, place where);
  std::uint64_t update(location_id at, const update_request& request, std::memory_order order,
                       place where);
  bool compare_exchange(location_id at, std::uint64_t& expected, const exchange_request& request,
                        place where);
  void fence(std::memory_order order, place where);
  void touch_cell(cell_history& of, operation what, place where);
  step& begin_step(operation what, place where);
  void block_on(const void* what, place where);
  void wake_all(const void* what) noexcept;
  void wake_one(const void* what);
  void yield(place where);
  memory_model& memory() noexcept { return memory_; }
  std::uint32_t thread_now() const noexcept { return now_; }

 private:
  enum class thread_state : std::uint8_t { none, ready, looking, blocked, ended };
  struct model_thread {
    thread_state state = thread_state::none;
    // Since it last yielded: where it has read (a bit each), what it knows to be there, by reading
    // or by its own writing, and whether a second look has told something else than the first.
    std::uint64_t looked = 0;
    std::array<std::uint64_t, locations_max> known{};
    bool has_seen_change = false;
    const void* waits_for = nullptr;
    place waits_at = {};
    thread_body body;
    checker* of = nullptr;
    std::optional<fibre> stack;
  };

  void begin_run();
  static void enter(void* thread);
  /// Before a step: whether another thread goes first.
  void let_others_go_first();
  /// The running thread can't go on: another does, or all have ended.
  void leave();
  void switch_to(std::uint32_t thread) noexcept;
  bool is_ready(const model_thread& one) const noexcept;
  std::uint32_t gather_ready(bool with_running) noexcept;
  std::string stuck_text() const;
  std::string race_text(bool is_read, std::uint32_t writer, place where) const;
  /// The order of an operation: its own, or a weaker one.
  std::memory_order order_of(operation what, std::memory_order order, place where);
  void note_order(operation what, std::memory_order order, place where);
  memory_model::access access_of(location_id at, std::memory_order order) const noexcept {
    return {.thread = now_,
            .at = at,
            .step = static_cast<std::uint32_t>(steps_.size()),
            .order = order};
  }
  void note_read(step& one, const what_was_read& found) noexcept;
  void note_write(step& one, std::uint64_t value) noexcept;

  const check_options& options_;
  const thread_body body_;
  odometer all_{UINT32_MAX};
  decision_source decide_{all_};
  memory_model memory_{decide_};
  std::array<model_thread, threads_max + 1> threads_;
  std::array<std::uint32_t, threads_max> ready_{};
  std::uint32_t now_ = 0;  // the thread that runs; 0 is the body
  // Nothing has been done since the last switch, so another switch here would be that one to
  // somebody else.
  bool is_fresh_ = false;
  std::uint32_t preemptions_ = 0;
  std::uint32_t spurious_failures_ = 0;
  std::vector<step> steps_;
  std::vector<bool> has_weakened_;
  std::vector<ordered_operation> orders_;
  bool has_failed_ = false;
  std::string failure_;
  checker* const around_;
};

}  // namespace weir::model::detail
