#include <weir/core/timer_wheel.hpp>

#include <bit>

namespace weir::detail {

namespace {

void make_empty(timer_link& head) noexcept { head.next = head.prev = &head; }
bool is_empty(const timer_link& head) noexcept { return head.next == &head; }
void push_back(timer_link& head, timer_link& node) noexcept {
  node.prev = head.prev;
  node.next = &head;
  head.prev->next = &node;
  head.prev = &node;
}

timer& timer_of(timer_link* link) noexcept { return *static_cast<timer*>(link); }

// Stable merge of two chains that end in null, by due time.
timer_link* merge(timer_link* a, timer_link* b) noexcept {
  timer_link first;
  timer_link* last = &first;
  while (a && b) {
    timer_link*& smaller = timer_of(b).due < timer_of(a).due ? b : a;
    last->next = smaller;
    last = smaller;
    smaller = smaller->next;
  }
  last->next = a ? a : b;
  return first.next;
}

// Stable merge sort of a null-ended chain. Bottom up over runs of doubling length kept in `runs`,
// as list sorts do.
timer_link* sorted(timer_link* chain) noexcept {
  timer_link* runs[64] = {};
  int used = 0;
  while (chain) {
    timer_link* one = chain;
    chain = chain->next;
    one->next = nullptr;
    int i = 0;
    for (; i < used && runs[i]; ++i) {
      one = merge(runs[i], one);
      runs[i] = nullptr;
    }
    runs[i] = one;
    if (i == used) ++used;
  }
  timer_link* all = nullptr;
  for (int i = 0; i < used; ++i) {
    if (runs[i]) all = all ? merge(runs[i], all) : runs[i];
  }
  return all;
}

// Sorts a circular list by due time, unless it is in order already, as it nearly always is.
void sort(timer_link& head) noexcept {
  bool in_order = true;
  for (timer_link* t = head.next; t->next != &head && t != &head; t = t->next) {
    if (timer_of(t->next).due < timer_of(t).due) {
      in_order = false;
      break;
    }
  }
  if (in_order) return;
  head.prev->next = nullptr;
  timer_link* chain = sorted(head.next);
  make_empty(head);
  while (chain) {
    timer_link* one = chain;
    chain = chain->next;
    push_back(head, *one);
  }
}

}  // namespace

timer_wheel::timer_wheel(time_point start) noexcept
    : current_(static_cast<std::uint64_t>(start.ns) >> tick_shift) {
  for (auto& level : slots_) {
    for (slot& s : level) {
      make_empty(s.head);
      s.earliest = time_point::never();
    }
  }
}

timer_wheel::slot& timer_wheel::slot_for(std::uint64_t tick, int& level, int& index) noexcept {
  const std::uint64_t differing = tick ^ current_;
  level = differing == 0 ? 0 : (63 - std::countl_zero(differing)) / level_bits;
  if (level >= level_count) level = level_count - 1;
  index = static_cast<int>((tick >> (level * level_bits)) & (slot_count - 1));
  return slots_[level][index];
}

void timer_wheel::place(timer& t) noexcept {
  const std::int64_t due = t.due.ns < 0 ? 0 : t.due.ns;
  std::uint64_t tick = static_cast<std::uint64_t>(due) >> tick_shift;
  if (tick < current_) tick = current_;
  int level = 0;
  int index = 0;
  slot& s = slot_for(tick, level, index);
  if (is_empty(s.head) || t.due < s.earliest) s.earliest = t.due;
  push_back(s.head, t);
  used_[level] |= std::uint64_t{1} << index;
}

void timer_wheel::insert(timer& t) noexcept {
  place(t);
  ++count_;
}

std::uint64_t timer_wheel::start_of(int level, int index) const noexcept {
  const int shift = level * level_bits;
  const std::uint64_t above =
      shift + level_bits >= 64 ? 0 : (current_ >> (shift + level_bits)) << (shift + level_bits);
  return above | (static_cast<std::uint64_t>(index) << shift);
}

bool timer_wheel::first_slot(int& level, int& index) const noexcept {
  for (level = 0; level < level_count; ++level) {
    while (used_[level] != 0) {
      index = std::countr_zero(used_[level]);
      if (!is_empty(slots_[level][index].head)) return true;
      used_[level] &= ~(std::uint64_t{1} << index);
    }
  }
  return false;
}

time_point timer_wheel::next_due() const noexcept {
  int level = 0;
  int index = 0;
  return first_slot(level, index) ? slots_[level][index].earliest : time_point::never();
}

void timer_wheel::collect(slot& s, time_point now, timer_link& expired) noexcept {
  sort(s.head);
  while (!is_empty(s.head) && timer_of(s.head.next).due <= now) {
    timer& t = timer_of(s.head.next);
    s.head.next = t.next;
    t.next->prev = &s.head;
    push_back(expired, t);
  }
  s.earliest = is_empty(s.head) ? time_point::never() : timer_of(s.head.next).due;
}

void timer_wheel::advance(time_point now) noexcept {
  if (count_ == 0) {
    current_ = static_cast<std::uint64_t>(now.ns) >> tick_shift;
    return;
  }
  const std::uint64_t now_tick = static_cast<std::uint64_t>(now.ns) >> tick_shift;
  timer_link expired;
  make_empty(expired);
  int level = 0;
  int index = 0;
  while (first_slot(level, index) && start_of(level, index) <= now_tick) {
    slot& s = slots_[level][index];
    const std::uint64_t start = start_of(level, index);
    if (start > current_) current_ = start;
    if (level == 0) {
      collect(s, now, expired);
      if (!is_empty(s.head)) break;  // the rest of this slot is due later than now
      continue;
    }
    // Sinks the slot's timers to lower levels, in order.
    timer_link* t = s.head.next;
    make_empty(s.head);
    s.earliest = time_point::never();
    used_[level] &= ~(std::uint64_t{1} << index);
    while (t != &s.head) {
      timer_link* following = t->next;
      place(timer_of(t));
      t = following;
    }
  }
  if (now_tick > current_) current_ = now_tick;
  while (!is_empty(expired)) {
    timer& t = timer_of(expired.next);
    remove(t);
    t.fire(t);
  }
}

}  // namespace weir::detail
