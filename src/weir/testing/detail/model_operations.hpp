// What model::atomic, model::cell and the model's locks ask of the checker that runs the test.
#pragma once

#include <weir/testing/memory_model.hpp>

#include <atomic>
#include <cstdint>
#include <source_location>

namespace weir::model {

/// What a step does, as failures print it and weakenings name it.
enum class operation : std::uint8_t {
  load,
  store,
  exchange,
  add,
  combine,  // fetch_and, fetch_or
  compare_exchange,
  fence,
  read,   // of a cell
  write,  // of a cell
  lock,
  unlock,
  wait,
  wake,
  yield,
};

namespace detail {

using place = std::source_location;

location_id make_location(std::uint64_t initial);
std::uint64_t load(location_id at, std::memory_order order, place where);
void store(location_id at, std::uint64_t value, std::memory_order order, place where);
struct update_request {
  operation what = operation::exchange;
  memory_model::change how = nullptr;
  std::uint64_t operand = 0;
};
std::uint64_t update(location_id at, const update_request& request, std::memory_order order,
                     place where);
struct exchange_request {
  std::uint64_t desired = 0;
  std::memory_order success = std::memory_order_seq_cst;
  std::memory_order failure = std::memory_order_seq_cst;
  bool is_weak = false;
};
bool compare_exchange(location_id at, std::uint64_t& expected, const exchange_request& request,
                      place where);
void fence(std::memory_order order, place where);

void read_cell(cell_history& of, place where);
void write_cell(cell_history& of, place where);

/// A step of something that no atomic is: others may go first.
void begin_step(operation what, place where);
/// The running thread goes on when somebody wakes those that wait for `what`.
void block_on(const void* what, place where);
void wake_all(const void* what) noexcept;
/// One of those that wait, whichever.
void wake_one(const void* what);
std::uint32_t thread_now() noexcept;
/// Fails the run: the running thread has unlocked a mutex that it does not hold.
void refuse_unlock(place where);
channel_id make_channel();
void send(channel_id to) noexcept;
void receive(channel_id from) noexcept;

}  // namespace detail
}  // namespace weir::model
