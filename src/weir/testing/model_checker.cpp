#include <weir/testing/model_checker.hpp>

#include <weir/testing/internal/checker.hpp>

#include <fmt/format.h>

namespace weir::model {

using detail::checker;

std::string verdict::text() const {
  if (has_passed()) return fmt::format("passed in {} runs", runs);
  if (failure.empty()) return fmt::format("not finished after {} runs", runs);
  return fmt::format("{}\nin run {}, whose steps were (thread 0 is the body):\n{}", failure, runs,
                     steps);
}

void require(bool condition, const char* text, std::source_location place) {
  if (condition) return;
  checker& on = checker::current();
  on.fail(fmt::format("{} does not hold at {}", text, detail::place_text(place)));
  on.give_up();
}

void yield(std::source_location place) { checker::current().yield(place); }

namespace detail {

verdict check(const check_options& options, thread_body body) {
  return checker(options, body).run();
}
void parallel(const thread_body* threads, std::uint32_t count) {
  checker::current().parallel(threads, count);
}

location_id make_location(std::uint64_t initial) {
  return checker::current().make_location(initial);
}
std::uint64_t load(location_id at, std::memory_order order, place where) {
  return checker::current().load(at, order, where);
}
void store(location_id at, std::uint64_t value, std::memory_order order, place where) {
  checker::current().store(at, value, order, where);
}
std::uint64_t update(location_id at, const update_request& request, std::memory_order order,
                     place where) {
  return checker::current().update(at, request, order, where);
}
bool compare_exchange(location_id at, std::uint64_t& expected, const exchange_request& request,
                      place where) {
  return checker::current().compare_exchange(at, expected, request, where);
}
void fence(std::memory_order order, place where) { checker::current().fence(order, where); }

void read_cell(cell_history& of, place where) {
  checker::current().touch_cell(of, operation::read, where);
}
void write_cell(cell_history& of, place where) {
  checker::current().touch_cell(of, operation::write, where);
}
void begin_step(operation what, place where) { checker::current().begin_step(what, where); }
void block_on(const void* what, place where) { checker::current().block_on(what, where); }
void wake_all(const void* what) noexcept { checker::current().wake_all(what); }
void wake_one(const void* what) { checker::current().wake_one(what); }
std::uint32_t thread_now() noexcept { return checker::current().thread_now(); }
void refuse_unlock(place where) {
  checker& on = checker::current();
  on.fail(fmt::format("thread {} unlocks a mutex that it does not hold, at {}", on.thread_now(),
                      place_text(where)));
  on.give_up();
}
channel_id make_channel() { return checker::current().memory().make_channel(); }
void send(channel_id to) noexcept {
  checker& on = checker::current();
  on.memory().send(on.thread_now(), to);
}
void receive(channel_id from) noexcept {
  checker& on = checker::current();
  on.memory().receive(on.thread_now(), from);
}

}  // namespace detail
}  // namespace weir::model
