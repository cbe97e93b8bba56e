// What the rules of locks and semaphores do again and again.
#pragma once

#include <weir/core/as_result.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/testing/test.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace weir::testing::detail {

/// Locks are fair unless their kit says otherwise.
template <class Kit>
inline constexpr bool is_fair = true;
template <class Kit>
  requires requires { Kit::is_fair; }
inline constexpr bool is_fair<Kit> = Kit::is_fair;

/// Who is inside now, and how often somebody was.
struct visitors {
  int readers = 0;
  int writers = 0;
  int readers_max = 0;
  int entered = 0;
};

/// One that is inside, until its frame ends in whatever way.
class visit {
 public:
  visit(visitors* in, bool is_reader) : count_(is_reader ? &in->readers : &in->writers) {
    EXPECT_EQ(in->writers, 0) << "a writer is inside, and so is another";
    if (!is_reader) EXPECT_EQ(in->readers, 0) << "readers are inside, and so is a writer";
    ++*count_;
    ++in->entered;
    in->readers_max = std::max(in->readers_max, in->readers);
  }
  visit(const visit&) = delete;
  visit& operator=(const visit&) = delete;
  ~visit() { --*count_; }

 private:
  int* count_;
};

template <class Lock>
task<> write_often(Lock* on, visitors* in, int times) {
  for (int i = 0; i < times; ++i) {
    const auto held = co_await on->lock();
    const visit here(in, false);
    co_await yield();
  }
}

template <class Lock>
task<> write_later(Lock* on, visitors* in) {
  co_await sleep(duration::milliseconds(1));
  co_await write_often(on, in, 3);
}

/// Waits for 5 ms, in vain.
template <class Lock>
task<> give_up(Lock* on) {
  co_await expect_raises<errc::timed_out>(with_timeout(duration::milliseconds(5), on->lock()));
}

/// Notes `name` once it is inside.
template <class Lock>
task<> note_turn(Lock* on, std::vector<int>* order, int name) {
  const auto held = co_await on->lock();
  order->push_back(name);
}

/// True when a lock can be had within a second in which others do what they can.
template <class Lock>
task<bool> is_free(Lock* on) {
  const auto outcome = co_await as_result(with_timeout(duration::seconds(1), on->lock()));
  co_await checkpoint();
  co_return outcome.has_value();
}

}  // namespace weir::testing::detail
