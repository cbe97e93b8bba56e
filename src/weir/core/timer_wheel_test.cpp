#include <weir/core/timer_wheel.hpp>

#include <weir/base/random.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <utility>
#include <vector>

namespace weir::detail::timer_wheel_test {
namespace {

struct fired {
  std::size_t id;
  time_point due;
  time_point at;
};

/// A timer that tells when it fires.
struct probe : callback_timer {
  std::size_t id = 0;
  const time_point* now = nullptr;
  std::vector<fired>* log = nullptr;
};

class TimerWheel : public ::testing::Test {
 protected:
  explicit TimerWheel(time_point start = time_point(1'000'000'000)) : now_(start), wheel_(start) {}
  ~TimerWheel() override {
    for (const auto& one : probes_) wheel_.remove(*one);
  }

  probe& add(time_point due) {
    auto& made = *probes_.emplace_back(std::make_unique<probe>());
    made.id = probes_.size() - 1;
    made.now = &now_;
    made.log = &log_;
    set(made, due);
    return made;
  }
  void set(probe& one, time_point due) {
    one.due = due;
    one.on_fire = [](timer& t) noexcept {
      auto& self = static_cast<probe&>(t);
      self.log->push_back({self.id, self.due, *self.now});
    };
    wheel_.insert(one);
  }
  void advance(time_point to) {
    now_ = to;
    wheel_.advance(to);
  }

  time_point now_;
  timer_wheel wheel_;
  std::vector<std::unique_ptr<probe>> probes_;
  std::vector<fired> log_;
};

TEST_F(TimerWheel, an_empty_wheel_has_nothing_due) {
  EXPECT_EQ(wheel_.next_due(), time_point::never());
  advance(now_ + duration::seconds(1'000'000));
  EXPECT_EQ(wheel_.count(), 0u);
}

TEST_F(TimerWheel, fires_at_the_exact_nanosecond_and_not_one_before) {
  const time_point due = now_ + duration(123'456'789);
  add(due);
  advance(due - duration(1));
  EXPECT_TRUE(log_.empty());
  EXPECT_LE(wheel_.next_due(), due);
  advance(due);
  ASSERT_EQ(log_.size(), 1u);
  EXPECT_EQ(wheel_.count(), 0u);
}

TEST_F(TimerWheel, a_timer_in_the_past_fires_at_the_next_advance) {
  add(now_ - duration::seconds(1));
  add(time_point(-5));
  advance(now_);
  EXPECT_EQ(log_.size(), 2u);
}

TEST_F(TimerWheel, a_timer_for_never_does_not_fire_and_does_not_count_as_due) {
  add(time_point::never());
  EXPECT_EQ(wheel_.next_due(), time_point::never());
  advance(now_ + duration::seconds(3'000'000'000));
  EXPECT_TRUE(log_.empty());
}

TEST_F(TimerWheel, equal_due_times_fire_in_the_order_of_insertion) {
  const time_point due = now_ + duration::milliseconds(2);
  for (int i = 0; i < 100; ++i) add(due);
  advance(due);
  ASSERT_EQ(log_.size(), 100u);
  for (std::size_t i = 0; i < 100; ++i) EXPECT_EQ(log_[i].id, i);
}

TEST_F(TimerWheel, what_an_advance_had_no_room_for_fires_next_in_order_unless_removed) {
  for (int i = 0; i < 10; ++i) add(now_ + duration(i));
  now_ = now_ + duration(9);
  wheel_.advance(now_, 4);
  EXPECT_EQ(log_.size(), 4u);
  EXPECT_EQ(wheel_.next_due(), probes_[4]->due);
  wheel_.remove(*probes_[4]);
  wheel_.remove(*probes_[9]);
  add(now_);
  wheel_.advance(now_, 4);
  wheel_.advance(now_, 4);
  std::vector<std::size_t> ids;
  for (const fired& one : log_) ids.push_back(one.id);
  EXPECT_EQ(ids, (std::vector<std::size_t>{0, 1, 2, 3, 5, 6, 7, 8, 10}));
  EXPECT_EQ(wheel_.count(), 0u);
  EXPECT_EQ(wheel_.next_due(), time_point::never());
}

TEST_F(TimerWheel, what_was_removed_before_anybody_looked_wakes_nobody) {
  const probe& later = add(now_ + duration::seconds(10));
  probe& earlier = add(later.due - duration::nanoseconds(1));  // in the same slot
  wheel_.remove(earlier);
  EXPECT_EQ(wheel_.count(), 1u);
  EXPECT_EQ(wheel_.next_due(), later.due);
  wheel_.remove(add(now_));
  EXPECT_EQ(wheel_.next_due(), later.due);
}

TEST_F(TimerWheel, removing_twice_or_after_firing_is_harmless) {
  probe& one = add(now_ + duration(10));
  wheel_.remove(one);
  wheel_.remove(one);
  EXPECT_EQ(wheel_.count(), 0u);
  advance(now_ + duration(10));
  EXPECT_TRUE(log_.empty());
  set(one, now_);
  advance(now_);
  EXPECT_EQ(log_.size(), 1u);
  wheel_.remove(one);
  EXPECT_EQ(wheel_.count(), 0u);
}

TEST_F(TimerWheel, a_timer_set_by_one_that_fires_is_left_for_the_next_advance) {
  struct again : callback_timer {
    timer_wheel* wheel;
    int fires = 0;
  } one;
  one.wheel = &wheel_;
  one.due = now_;
  one.on_fire = [](timer& t) noexcept {
    auto& self = static_cast<again&>(t);
    ++self.fires;
    self.wheel->insert(self);
  };
  wheel_.insert(one);
  advance(now_);
  EXPECT_EQ(one.fires, 1);
  advance(now_);
  EXPECT_EQ(one.fires, 2);
  wheel_.remove(one);
}

TEST_F(TimerWheel, a_timer_that_fires_may_remove_one_that_is_due_with_it) {
  struct remover : callback_timer {
    timer_wheel* wheel;
    timer* victim;
  } first;
  first.wheel = &wheel_;
  first.due = now_ + duration(5);
  first.on_fire = [](timer& t) noexcept {
    auto& self = static_cast<remover&>(t);
    self.wheel->remove(*self.victim);
  };
  wheel_.insert(first);
  first.victim = &add(now_ + duration(5));
  advance(now_ + duration(5));
  EXPECT_TRUE(log_.empty());
  EXPECT_EQ(wheel_.count(), 0u);
}

// The wheel against std::multimap, over all levels: random inserts, removals and advances.
class TimerWheelModel : public TimerWheel, public ::testing::WithParamInterface<std::uint64_t> {
 protected:
  // Lengths whose orders of magnitude are equally likely: from nanoseconds to decades.
  duration random_length() {
    const auto bits = random_.below(60);
    return duration(static_cast<std::int64_t>(random_.below((std::uint64_t{1} << bits) + 1)));
  }
  void check_advance(time_point to) {
    const time_point due_next = model_.empty() ? time_point::never() : model_.begin()->first;
    ASSERT_LE(wheel_.next_due(), due_next) << "next_due() is later than the first timer";
    log_.clear();
    now_ = to;
    const std::size_t at_most = 1 + random_.below(20);
    do {
      const std::size_t before = log_.size();
      wheel_.advance(to, at_most);
      ASSERT_LE(log_.size() - before, at_most);
    } while (wheel_.next_due() <= to);
    std::vector<std::pair<time_point, std::size_t>> wanted;
    while (!model_.empty() && model_.begin()->first <= to) {
      wanted.emplace_back(model_.begin()->first, model_.begin()->second);
      model_.erase(model_.begin());
    }
    ASSERT_EQ(log_.size(), wanted.size());
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      ASSERT_EQ(log_[i].due, wanted[i].first) << "fired out of order";
      ASSERT_GE(log_[i].at, log_[i].due) << "fired early";
    }
    // Which timers fired, where several are due at the same moment.
    std::vector<std::size_t> ids, wanted_ids;
    for (const fired& one : log_) ids.push_back(one.id);
    for (const auto& [due, id] : wanted) wanted_ids.push_back(id);
    std::ranges::sort(ids);
    std::ranges::sort(wanted_ids);
    ASSERT_EQ(ids, wanted_ids);
    ASSERT_EQ(wheel_.count(), model_.size());
  }

  random_source random_{GetParam()};
  std::multimap<time_point, std::size_t> model_;
};
INSTANTIATE_TEST_SUITE_P(Seeds, TimerWheelModel, ::testing::Range<std::uint64_t>(1, 41));

TEST_P(TimerWheelModel, agrees_with_a_sorted_map) {
  for (int step = 0; step < 3000 && !HasFatalFailure(); ++step) {
    switch (random_.below(8)) {
      case 0:
      case 1:
      case 2:
      case 3: {
        const time_point due = now_ + random_length();
        model_.emplace(due, add(due).id);
        break;
      }
      case 4: {
        if (model_.empty()) break;
        auto at = model_.begin();
        std::advance(at, static_cast<std::ptrdiff_t>(
                             random_.below(std::min<std::size_t>(model_.size(), 50))));
        wheel_.remove(*probes_[at->second]);
        model_.erase(at);
        break;
      }
      case 5:
        check_advance(now_);
        break;
      case 6:  // to the exact moment of the first, as the virtual clock does
        if (!model_.empty()) check_advance(std::max(now_, model_.begin()->first));
        break;
      default:
        check_advance(now_ + duration(random_length().ns >> 8));
    }
  }
  // And to the end, from one due time to the next.
  while (!model_.empty() && !HasFatalFailure()) {
    const time_point due = wheel_.next_due();
    ASSERT_LE(due, model_.begin()->first);
    check_advance(std::max(now_, due));
  }
  EXPECT_EQ(wheel_.next_due(), time_point::never());
}

}  // namespace
}  // namespace weir::detail::timer_wheel_test
