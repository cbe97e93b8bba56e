#include <weir/core/timer_wheel.hpp>

#include <weir/base/defect.hpp>

#include <array>
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

timer& timer_of(timer_link* link) noexcept { return static_cast<timer&>(*link); }

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

// Walks a list from its end towards one that walks from its start, until they meet. Among a million
// timers each is a miss of the cache, and the next is not known before it is there: two walks wait
// half as long.
struct walk_from_end {
  timer_link* at;
  void step(const timer_link* other, const timer_link* other_next) noexcept {
    if (at == other || at == other_next) at = nullptr;
    if (at) __builtin_prefetch(at = at->prev, 1);
  }
};

// Stable merge sort of a null-ended chain. Bottom up over runs of doubling length kept in `runs`,
// as list sorts do.
timer_link* sorted(timer_link* chain, timer_link* end) noexcept {
  walk_from_end second{end};
  timer_link* runs[64] = {};
  int used = 0;
  while (chain) {
    timer_link* one = chain;
    chain = chain->next;
    second.step(one, chain);
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
  timer_link* chain = sorted(head.next, head.prev);
  make_empty(head);
  while (chain) {
    timer_link* one = chain;
    chain = chain->next;
    push_back(head, *one);
  }
}

}  // namespace

constinit const wait_kind callback_timer::kind_{"timer", nullptr, nullptr, [](timer& t) noexcept {
                                                  static_cast<callback_timer&>(t).on_fire(t);
                                                }};

timer_wheel::timer_wheel(time_point start) noexcept
    : current_(static_cast<std::uint64_t>(start.ns) >> tick_shift) {
  static_assert(shift_of(level_count - 1) + narrow_bits + tick_shift >= 63,
                "every moment has a slot");
  make_empty(fresh_);
  make_empty(expired_);
  for (slot& s : slots_) {
    make_empty(s.head);
    s.head.due = time_point::never();
  }
}

/// Which slots a tick has to choose from, by the number of its low bits that the current one does
/// not share.
struct timer_wheel::choice {
  std::uint16_t first;
  std::uint8_t mask;
  std::uint8_t shift;

  static constexpr std::array<choice, 65> by_width() noexcept {
    std::array<choice, 65> all{};
    int level = 0;
    for (int width = 0; width <= 64; ++width) {
      if (level + 1 < level_count && width > shift_of(level + 1)) ++level;
      all[static_cast<std::size_t>(width)] = {
          .first = static_cast<std::uint16_t>(first_of(level)),
          .mask = static_cast<std::uint8_t>((1 << bits_of(level)) - 1),
          .shift = static_cast<std::uint8_t>(shift_of(level))};
    }
    return all;
  }
};

void timer_wheel::place(timer& t) noexcept {
  const std::int64_t due = t.due.ns < 0 ? 0 : t.due.ns;
  std::uint64_t tick = static_cast<std::uint64_t>(due) >> tick_shift;
  if (tick < current_) tick = current_;
  static constexpr auto by_width = choice::by_width();
  const choice& among = by_width[static_cast<std::size_t>(std::bit_width(tick ^ current_))];
  const std::size_t at = among.first + ((tick >> among.shift) & among.mask);
  slot& s = slots_[at];
  // The due time of an empty slot is of the past: looked at first it would be a branch by lot.
  if (is_empty(s.head) ||
      (t.due < s.head.due && !is_planted("core: a slot is due when its first timer is")))
    s.head.due = t.due;
  push_back(s.head, t);
  used_[at / 64] |= std::uint64_t{1} << (at % 64);
}

void timer_wheel::insert(timer& t) noexcept {
  push_back(fresh_, t);
  ++count_;
}

void timer_wheel::place_fresh() noexcept {
  timer_link* t = fresh_.next;
  make_empty(fresh_);
  while (t != &fresh_) {
    timer_link* following = t->next;
    place(timer_of(t));
    t = following;
  }
}

std::uint64_t timer_wheel::start_of(int level, int index) const noexcept {
  const int shift = shift_of(level);
  const int above_shift = shift + bits_of(level);
  const std::uint64_t above = above_shift >= 64 ? 0 : (current_ >> above_shift) << above_shift;
  return above | (static_cast<std::uint64_t>(index) << shift);
}

bool timer_wheel::first_slot(int& level, int& index) noexcept {
  level = 0;
  for (int word = 0; word < slot_count / 64; ++word) {
    while (used_[word] != 0) {
      const int at = word * 64 + std::countr_zero(used_[word]);
      if (is_empty(slots_[at].head)) {
        used_[word] &= used_[word] - 1;
        continue;
      }
      while (level + 1 < level_count && at >= first_of(level + 1)) ++level;
      index = at - first_of(level);
      return true;
    }
  }
  return false;
}

time_point timer_wheel::next_due() noexcept {
  if (count_ == 0) return time_point::never();
  place_fresh();
  if (!is_empty(expired_) && !is_planted("core: timers beyond one turn's share are forgotten"))
    return timer_of(expired_.next).due;
  int level = 0;
  int index = 0;
  return first_slot(level, index) ? slots_[first_of(level) + index].head.due : time_point::never();
}

// Moves the slot's timers to lower levels, in order.
void timer_wheel::sink(slot& s) noexcept {
  timer_link* t = s.head.next;
  walk_from_end second{s.head.prev};
  make_empty(s.head);
  s.head.due = time_point::never();
  while (t != &s.head) {
    timer_link* following = t->next;
    second.step(t, following);
    place(timer_of(t));
    t = following;
  }
}

std::size_t timer_wheel::collect(slot& s, time_point now) noexcept {
  std::size_t collected = 0;
  if (is_planted("core: a slot of the wheel fires as one")) now = time_point::never();
  sort(s.head);
  while (!is_empty(s.head) && timer_of(s.head.next).due <= now) {
    timer& t = timer_of(s.head.next);
    s.head.next = t.next;
    t.next->prev = &s.head;
    push_back(expired_, t);
    ++collected;
  }
  s.head.due = is_empty(s.head) ? time_point::never() : timer_of(s.head.next).due;
  return collected;
}

// Slot by slot, and no further than needed: what is collected is still in the cache when it fires.
void timer_wheel::collect(time_point now, std::size_t wanted) noexcept {
  const std::uint64_t now_tick = static_cast<std::uint64_t>(now.ns) >> tick_shift;
  int level = 0;
  int index = 0;
  while (first_slot(level, index) && start_of(level, index) <= now_tick) {
    slot& s = slots_[first_of(level) + index];
    const std::uint64_t start = start_of(level, index);
    if (start > current_) current_ = start;
    if (level == 0) {
      const std::size_t collected = collect(s, now);
      if (collected >= wanted) return;
      wanted -= collected;
      if (!is_empty(s.head)) break;  // the rest of this slot is due later than now
      continue;
    }
    sink(s);
  }
  if (now_tick > current_) current_ = now_tick;
}

std::size_t timer_wheel::advance(time_point now, std::size_t fires_max) noexcept {
  if (count_ == 0) {
    current_ = static_cast<std::uint64_t>(now.ns) >> tick_shift;
    return 0;
  }
  place_fresh();
  if (is_empty(expired_)) collect(now, fires_max);
  std::size_t fired = 0;
  for (; fired != fires_max && !is_empty(expired_); ++fired) {
    timer& t = timer_of(expired_.next);
    remove(t);
    t.own_kind().fire(t);
  }
  return fired;
}

}  // namespace weir::detail
