#include <weir/flow/detail/item_lookout.hpp>

#include <gtest/gtest.h>

namespace weir::item_lookout_test {
namespace {

using detail::item_lookout;

/// Asked for an item until one is looked for: it is new, or trusts no more.
int times_until_it_looks(item_lookout& on, bool is_there) {
  int times = 0;
  for (bool has_looked = false; !has_looked; ++times) {
    static_cast<void>(on.finds([&] { return has_looked = true, is_there; }));
  }
  return times;
}

/// How often it looks where nothing comes: less often, the later the first look is.
int looks_in_vain(item_lookout& on) {
  int looks = 0;
  EXPECT_FALSE(on.finds([&] { return ++looks, false; }));
  return looks;
}

TEST(item_lookout, tries_one_time_in_64_until_an_item_came) {
  item_lookout on;
  EXPECT_EQ(times_until_it_looks(on, false), 64);
  EXPECT_EQ(times_until_it_looks(on, false), 64);
  EXPECT_EQ(times_until_it_looks(on, true), 64);
  EXPECT_EQ(times_until_it_looks(on, true), 1);
}

TEST(item_lookout, gives_up_after_as_many_misses_as_it_trusts) {
  item_lookout on;
  times_until_it_looks(on, true);
  for (int i = 0; i != 10; ++i) EXPECT_TRUE(on.finds([] { return true; }));
  int misses = 0;
  while (looks_in_vain(on) != 0) ++misses;
  EXPECT_EQ(misses, 8);
  EXPECT_EQ(times_until_it_looks(on, true), 63);  // the call that did not look was counted
}

TEST(item_lookout, looks_later_while_items_gather_and_sooner_where_one_comes) {
  item_lookout on;
  times_until_it_looks(on, true);
  for (int i = 0; i != 10; ++i) EXPECT_TRUE(on.finds([] { return true; }));
  const int at_once = looks_in_vain(on);
  for (int i = 0; i != 10; ++i) on.note_heap(2);
  EXPECT_EQ(looks_in_vain(on), at_once - 31);  // the first look is worth 32 now
  on.note_heap(1);
  EXPECT_EQ(looks_in_vain(on), at_once - 15);
  on.note_heap(0);
  EXPECT_EQ(looks_in_vain(on), at_once - 7);
  on.note_heap(31);
  EXPECT_EQ(looks_in_vain(on), at_once - 15);
  on.note_heap(32);  // many, whose receiver has better things to do
  EXPECT_EQ(looks_in_vain(on), at_once - 7);
}

TEST(item_lookout, asks_whether_it_may_wait_for_heaps_that_are_worth_it) {
  item_lookout on;
  int asked = 0;
  const auto may_wait = [&] { return ++asked != 0; };
  for (const int expected : {0, 0, 0, 1, 2, 3}) {  // 1, 2 and 4 pauses are not, 8 are
    on.lets_gather(may_wait);
    EXPECT_EQ(asked, expected);
    on.note_heap(2);
  }
  on.note_heap(1);
  on.note_heap(1);
  on.note_heap(1);
  on.lets_gather(may_wait);
  EXPECT_EQ(asked, 3);
}

}  // namespace
}  // namespace weir::item_lookout_test
