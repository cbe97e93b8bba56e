#include <weir/testing/memory_model.hpp>

#include <weir/base/assert.hpp>

#include <algorithm>

namespace weir::model {

namespace {

bool acquires(std::memory_order order) noexcept {
  return order != std::memory_order_relaxed && order != std::memory_order_release;
}
bool releases(std::memory_order order) noexcept {
  return order == std::memory_order_release || order == std::memory_order_acq_rel ||
         order == std::memory_order_seq_cst;
}
bool is_consistent(std::memory_order order) noexcept { return order == std::memory_order_seq_cst; }

}  // namespace

void view::add_seen(const view& other, std::size_t locations) noexcept {
  for (std::size_t i = 0; i < locations; ++i) seen[i] = std::max(seen[i], other.seen[i]);
}

void view::add(const view& other, std::size_t locations) noexcept {
  add_seen(other, locations);
  for (std::size_t i = 0; i < clock.size(); ++i) clock[i] = std::max(clock[i], other.clock[i]);
}

void memory_model::restart() noexcept {
  for (std::size_t i = 0; i < count_; ++i) locations_[i].clear();
  count_ = 0;
  channels_.clear();
  threads_ = {};
  consistent_ = {};
  for (std::uint32_t i = 0; i < threads_.size(); ++i) tick(i);  // 0 is before all
}

void memory_model::start_thread(std::uint32_t thread) noexcept {
  threads_[thread].now.add(threads_[0].now, count_);
  threads_[thread].acquired = threads_[thread].released = {};
  threads_[thread].looked = {};
  tick(0);
  tick(thread);
}

void memory_model::join_thread(std::uint32_t thread) noexcept {
  threads_[0].now.add(threads_[thread].now, count_);
}

location_id memory_model::make_location(std::uint64_t value) {
  WEIR_ASSERT(count_ < locations_max);
  // Making an atomic is no atomic operation: who reads its first value learns nothing by that.
  locations_[count_].push_back({.value = value});
  return static_cast<location_id>(count_++);
}

channel_id memory_model::make_channel() {
  channels_.emplace_back();
  return static_cast<channel_id>(channels_.size() - 1);
}

// A seq_cst operation comes after all seq_cst operations and fences before it in their one order,
// so it is at or behind what these have seen.
std::size_t memory_model::oldest_for(const access& by, std::memory_order order) const noexcept {
  const std::size_t own = threads_[by.thread].now.seen[by.at];
  return is_consistent(order) ? std::max<std::size_t>(own, consistent_.seen[by.at]) : own;
}

std::size_t memory_model::oldest_to_read(const access& by, std::memory_order order) const noexcept {
  return std::max<std::size_t>(oldest_for(by, order), threads_[by.thread].looked[by.at]);
}

void memory_model::look_again(std::uint32_t thread, std::uint64_t at) noexcept {
  for (location_id one = 0; one < count_; ++one) {
    if ((at >> one & 1) != 0)
      threads_[thread].looked[one] = static_cast<std::uint8_t>(locations_[one].size() - 1);
  }
}

what_was_read memory_model::read(const access& by, std::memory_order order,
                                 std::size_t position) noexcept {
  const std::vector<store_record>& stores = locations_[by.at];
  const store_record& from = stores[position];
  thread_state& thread = threads_[by.thread];
  thread.now.seen[by.at] = static_cast<std::uint8_t>(position);  // (1): it is not older
  (acquires(order) ? thread.now : thread.acquired).add(from.message, count_);
  if (is_consistent(order)) {
    consistent_.seen[by.at] =
        std::max(consistent_.seen[by.at], static_cast<std::uint8_t>(position));
  }
  return {.value = from.value, .by_step = from.step, .is_newest = position + 1 == stores.size()};
}

// Positions are counted from the first store, so what lies behind a new one moves by one in all
// views (3).
void memory_model::make_room(location_id at, std::size_t position) noexcept {
  const auto move = [&](view& one) {
    if (one.seen[at] >= position) ++one.seen[at];
  };
  for (thread_state& one : threads_) {
    move(one.now);
    move(one.acquired);
    move(one.released);
    if (one.looked[at] >= position) ++one.looked[at];
  }
  for (std::size_t i = 0; i < count_; ++i) {
    for (store_record& one : locations_[i]) move(one.message);
  }
  for (view& one : channels_) move(one);
  move(consistent_);
}

void memory_model::put(const access& by, std::size_t position, std::uint64_t value,
                       bool is_update) {
  std::vector<store_record>& stores = locations_[by.at];
  WEIR_ASSERT(stores.size() < stores_max);
  if (position != stores.size()) make_room(by.at, position);
  thread_state& thread = threads_[by.thread];
  thread.now.seen[by.at] = static_cast<std::uint8_t>(position);
  store_record made{.value = value, .step = by.step, .is_update = is_update};
  made.message = releases(by.order) ? thread.now : thread.released;
  // A release sequence: whoever reads this update takes over what its predecessor carries, too.
  if (is_update) made.message.add(stores[position - 1].message, count_);
  stores.insert(stores.begin() + static_cast<std::ptrdiff_t>(position), made);
  if (is_consistent(by.order)) {
    consistent_.seen[by.at] =
        std::max(consistent_.seen[by.at], static_cast<std::uint8_t>(position));
  }
  tick(by.thread);
}

what_was_read memory_model::load(const access& by) {
  const std::size_t newest = locations_[by.at].size() - 1;
  const std::size_t oldest = oldest_to_read(by, by.order);
  const std::size_t back = decide_.among(choice_kind::transfer, newest - oldest + 1);
  const what_was_read found = read(by, by.order, newest - back);
  tick(by.thread);
  return found;
}

// Behind which store the next one is put: any from `oldest` on that has no update yet.
std::size_t memory_model::choose_predecessor(const access& by, std::size_t oldest) {
  const std::vector<store_record>& stores = locations_[by.at];
  candidates_.clear();
  for (std::size_t at = stores.size(); at-- > oldest;) {
    if (!is_closed_after(stores, at)) candidates_.push_back(at);  // (2)
  }
  return candidates_[decide_.among(choice_kind::transfer, candidates_.size())];
}

void memory_model::store(const access& by, std::uint64_t value) {
  put(by, choose_predecessor(by, oldest_for(by, by.order)) + 1, value, false);
}

what_was_read memory_model::update(const access& by, change how, std::uint64_t operand) {
  const std::size_t from = choose_predecessor(by, oldest_to_read(by, by.order));
  const what_was_read found = read(by, by.order, from);
  put(by, from + 1, how(found.value, operand), true);
  return found;
}

what_was_read memory_model::compare_exchange(const access& by, const exchange& what) {
  const std::vector<store_record>& stores = locations_[by.at];
  const std::size_t oldest = oldest_to_read(by, by.order);
  const std::size_t oldest_of_failure = oldest_to_read(by, what.order_of_failure);
  constexpr std::size_t fails = stores_max;  // a candidate plus this: it is only read
  candidates_.clear();
  for (std::size_t at = stores.size(); at-- > std::min(oldest, oldest_of_failure);) {
    if (stores[at].value != what.expected) {
      if (at >= oldest_of_failure) candidates_.push_back(at + fails);
    } else if (at >= oldest && !is_closed_after(stores, at)) {
      candidates_.push_back(at);
      if (what.may_fail_spuriously) candidates_.push_back(at + fails);
    }
  }
  const std::size_t chosen = candidates_[decide_.among(choice_kind::transfer, candidates_.size())];
  if (chosen >= fails) {
    const what_was_read found = read(by, what.order_of_failure, chosen - fails);
    tick(by.thread);
    return found;
  }
  what_was_read found = read(by, by.order, chosen);
  found.is_exchanged = true;
  put(by, chosen + 1, what.desired, true);
  return found;
}

void memory_model::fence(std::uint32_t thread, std::memory_order order) noexcept {
  thread_state& by = threads_[thread];
  if (acquires(order)) by.now.add(by.acquired, count_);
  if (is_consistent(order)) {
    by.now.add_seen(consistent_, count_);
    consistent_.add_seen(by.now, count_);
  }
  if (releases(order)) by.released = by.now;
  tick(thread);
}

void memory_model::send(std::uint32_t thread, channel_id to) noexcept {
  channels_[to].add(threads_[thread].now, count_);
  tick(thread);
}

void memory_model::receive(std::uint32_t thread, channel_id from) noexcept {
  threads_[thread].now.add(channels_[from], count_);
}

bool memory_model::read_cell(std::uint32_t thread, cell_history& of) const noexcept {
  const view& now = threads_[thread].now;
  of.read[thread] = now.clock[thread];
  return of.written <= now.clock[of.writer];
}

bool memory_model::write_cell(std::uint32_t thread, cell_history& of) const noexcept {
  const view& now = threads_[thread].now;
  bool is_alone = of.written <= now.clock[of.writer];
  for (std::size_t i = 0; i < of.read.size(); ++i) {
    is_alone = is_alone && of.read[i] <= now.clock[i];
  }
  of.writer = thread;
  of.written = now.clock[thread];
  return is_alone;
}

}  // namespace weir::model
