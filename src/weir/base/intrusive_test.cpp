#include <weir/base/intrusive.hpp>

#include <weir/base/random.hpp>

#include <gtest/gtest.h>

#include <list>
#include <memory>
#include <string>
#include <vector>

namespace weir::intrusive_test {
namespace {

struct by_age;
struct node : list_hook<>, list_hook<by_age>, queue_hook<> {
  explicit node(int n) : number(n) {}
  int number;
};
using node_list = intrusive_list<node>;

std::string shown(node_list& list) {
  std::string text;
  for (node& n : list) text += std::to_string(n.number);
  return text;
}

TEST(intrusive, a_list_keeps_the_order_in_which_it_was_linked) {
  node a(1), b(2), c(3), d(4);
  node_list list;
  EXPECT_TRUE(list.is_empty());
  list.push_back(b);
  list.push_back(d);
  list.push_front(a);
  list.insert_before(d, c);
  EXPECT_EQ(shown(list), "1234");
  EXPECT_EQ(list.count(), 4u);
  EXPECT_EQ(&list.front(), &a);
  EXPECT_EQ(&list.back(), &d);
  EXPECT_EQ((--list.end())->number, 4);
}

TEST(intrusive, an_element_leaves_from_any_place_without_its_list) {
  node a(1), b(2), c(3);
  node_list list;
  for (node* n : {&a, &b, &c}) list.push_back(*n);
  b.list_hook<>::unlink();
  EXPECT_EQ(shown(list), "13");
  EXPECT_FALSE(b.list_hook<>::is_linked());
  b.list_hook<>::unlink();  // twice is once
  EXPECT_EQ(list.erase(a)->number, 3);
  EXPECT_EQ(&list.pop_front(), &c);
  EXPECT_TRUE(list.is_empty());
  list.push_back(b);  // and may come back
  EXPECT_EQ(shown(list), "2");
}

TEST(intrusive, an_element_is_in_one_list_per_tag) {
  node a(1), b(2);
  node_list list;
  intrusive_list<node, by_age> ages;
  list.push_back(a);
  list.push_back(b);
  ages.push_back(b);
  ages.push_back(a);
  EXPECT_EQ(shown(list), "12");
  EXPECT_EQ(ages.front().number, 2);
  a.list_hook<>::unlink();
  EXPECT_EQ(ages.count(), 2u);
}

TEST(intrusive, appending_moves_everything_and_leaves_the_other_list_usable) {
  node a(1), b(2), c(3);
  node_list one;
  node_list two;
  two.append(one);
  one.push_back(a);
  two.push_back(b);
  two.push_back(c);
  one.append(two);
  EXPECT_EQ(shown(one), "123");
  EXPECT_TRUE(two.is_empty());
  one.erase(c);
  two.push_back(c);
  EXPECT_EQ(shown(two), "3");
}

TEST(intrusive, a_list_that_ends_lets_its_elements_go) {
  node a(1);
  {
    node_list list;
    list.push_back(a);
  }
  EXPECT_FALSE(a.list_hook<>::is_linked());
}

TEST(intrusive, random_operations_agree_with_a_list_of_pointers) {
  random_source random(11);
  std::vector<std::unique_ptr<node>> nodes;
  for (int i = 0; i < 20; ++i) nodes.push_back(std::make_unique<node>(i));
  node_list list;
  std::list<node*> model;
  for (int step = 0; step < 20'000; ++step) {
    node& n = *nodes[random.below(nodes.size())];
    if (n.list_hook<>::is_linked()) {
      list.erase(n);
      model.remove(&n);
    } else if (random.chance(0.5)) {
      list.push_back(n);
      model.push_back(&n);
    } else {
      list.push_front(n);
      model.push_front(&n);
    }
    auto expected = model.begin();
    for (node& found : list) ASSERT_EQ(&found, *expected++);
    ASSERT_EQ(expected, model.end());
  }
  list.clear();
}

TEST(intrusive, a_queue_gives_first_what_came_first) {
  node a(1), b(2), c(3);
  intrusive_queue<node> queue;
  queue.push(a);
  queue.push(b);
  EXPECT_EQ(&queue.pop(), &a);
  queue.push(c);
  queue.push(a);
  EXPECT_EQ(queue.count(), 3u);
  EXPECT_EQ(&queue.front(), &b);
  EXPECT_EQ(&queue.pop(), &b);
  EXPECT_EQ(&queue.pop(), &c);
  EXPECT_EQ(&queue.pop(), &a);
  EXPECT_TRUE(queue.is_empty());
}

TEST(intrusive, a_queue_appends_another_in_order) {
  node a(1), b(2), c(3);
  intrusive_queue<node> one;
  intrusive_queue<node> two;
  one.append(two);
  two.push(a);
  one.append(two);
  two.push(b);
  two.push(c);
  one.append(two);
  EXPECT_TRUE(two.is_empty());
  EXPECT_EQ(one.count(), 3u);
  EXPECT_EQ(one.pop().number, 1);
  EXPECT_EQ(one.pop().number, 2);
  EXPECT_EQ(one.pop().number, 3);
}

TEST(intrusive_death, misuse_stops_the_process) {
  node a(1);
  node_list list;
  intrusive_queue<node> queue;
  EXPECT_DEATH((void)list.pop_front(), "is_empty");
  EXPECT_DEATH((void)queue.pop(), "is_empty");
  EXPECT_DEATH(list.erase(a), "is_linked");
  list.push_back(a);
  queue.push(a);
  EXPECT_DEATH(list.push_back(a), "is_linked");
  EXPECT_DEATH(queue.push(a), "link != last_");
  EXPECT_DEATH(
      {
        node_list other;
        auto dying = std::make_unique<node>(2);
        other.push_back(*dying);
        dying.reset();
      },
      "is_linked");
  (void)queue.pop();
}

}  // namespace
}  // namespace weir::intrusive_test
