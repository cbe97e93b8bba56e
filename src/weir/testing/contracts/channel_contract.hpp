// What every bounded channel of weir does, for channels of your own: a kit says how to make one.
//
//   struct my_channels {
//     template <class T>
//     static auto make(std::size_t capacity);  // two halves: to send and to receive
//   };
//   WEIR_CHANNEL_CONTRACT(my_channels);  // at namespace scope of a test's file
//
// The halves have send(T) and receive(), each a task or a wait, and close(), which their
// destructors do as well; they move. receive() gives an optional, which is empty at the end.
// Capacities here are 1 and more.
#pragma once

#include <weir/core/as_result.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/testing/contract.hpp>
#include <weir/testing/detail/channel_steps.hpp>

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace weir::testing {

/// The rules, for one kit.
template <class Kit>
struct channel_contract {
  static std::span<const contract_rule> rules() {
    static constexpr std::array<contract_rule, 17> all{{
        {.sentence = "items arrive in the order of their sends, and then the end", .body = &order},
        {.sentence = "send waits while the channel is full", .body = &waits_while_full},
        {.sentence = "receive waits until there is an item", .body = &waits_while_empty},
        {.sentence = "the end is seen by a receive that waits, and stays", .body = &end_is_seen},
        {.sentence = "what was sent before the end is still received", .body = &drains},
        {.sentence = "when the receiver goes, sends that wait and later ones are broken",
         .body = &broken_sends},
        {.sentence = "a closed half raises closed", .body = &closed_halves},
        {.sentence = "a half that is destroyed has gone as a closed one has",
         .body = &destroyed_halves},
        {.sentence = "several senders and receivers lose and invent nothing", .body = &many},
        {.sentence = "items move, and those that nobody took are destroyed", .body = &ownership},
        {.sentence = "receives that wait are served in the order in which they came",
         .body = &fairness},
        {.sentence = "sends that wait are admitted in the order in which they came",
         .body = &fair_sends},
        {.sentence = "a send cancelled at any point has queued its item or not touched it",
         .sweep = &cancelled_send},
        {.sentence = "a receive cancelled at any point has taken no item",
         .sweep = &cancelled_receive},
        {.sentence = "a receive that finds an item and is cancelled at any point has taken none",
         .sweep = &cancelled_with_items},
        {.sentence = "when a receive that waits is cancelled at any point, those behind it go on",
         .sweep = &behind_a_receive},
        {.sentence = "when a send that waits is cancelled at any point, those behind it go on",
         .sweep = &behind_a_send},
    }};
    return all;
  }

 private:
  static task<> order() {
    auto [to, from] = Kit::template make<int>(3);
    std::vector<int> got;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(detail::receive_items<decltype(from)>, &from, &got);
      co_await detail::send_items_and_close(&to, 10);
    });
    EXPECT_EQ(got, (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
  }

  static task<> waits_while_full() {
    auto [to, from] = Kit::template make<int>(2);
    int sent = 3;
    co_await with_scope([&](scope& s) -> task<> {
      co_await detail::send_items(&to, 1, 2);
      s.spawn(detail::send_and_count<decltype(to)>, &to, &sent, 4);
      co_await sleep(duration::milliseconds(1));
      EXPECT_EQ(sent, 3) << "a capacity of 2 holds 3 items";
      EXPECT_EQ(co_await from.receive(), 1);
      co_await sleep(duration::milliseconds(1));
      EXPECT_EQ(sent, 4) << "a place is free, and the send still waits";
      EXPECT_EQ(co_await from.receive(), 2);
      EXPECT_EQ(co_await from.receive(), 3);
    });
  }

  static task<> waits_while_empty() {
    auto [to, from] = Kit::template make<int>(1);
    std::vector<int> got;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(detail::receive_item<decltype(from)>, &from, &got);
      co_await sleep(duration::milliseconds(1));
      EXPECT_TRUE(got.empty());
      co_await to.send(7);
    });
    EXPECT_EQ(got, std::vector<int>{7});
  }

  static task<> end_is_seen() {
    auto [to, from] = Kit::template make<int>(1);
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(
          [](decltype(from)* mine) -> task<> {
            EXPECT_EQ(co_await mine->receive(), std::nullopt);
            EXPECT_EQ(co_await mine->receive(), std::nullopt) << "the end stays the end";
          },
          &from);
      co_await sleep(duration::milliseconds(1));
      to.close();
    });
  }

  static task<> drains() {
    auto [to, from] = Kit::template make<int>(2);
    co_await to.send(1);
    co_await to.send(2);
    to.close();
    EXPECT_EQ(co_await from.receive(), 1);
    EXPECT_EQ(co_await from.receive(), 2);
    EXPECT_EQ(co_await from.receive(), std::nullopt);
  }

  static task<> broken_sends() {
    auto [to, from] = Kit::template make<int>(1);
    co_await to.send(1);
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(
          [](decltype(to)* mine) -> task<> { co_await expect_raises<errc::broken>(mine->send(2)); },
          &to);
      co_await sleep(duration::milliseconds(1));
      from.close();
    });
    co_await expect_raises<errc::broken>(to.send(3));
  }

  static task<> closed_halves() {
    auto [to, from] = Kit::template make<int>(1);
    to.close();
    co_await expect_raises<errc::closed>(to.send(1));
    from.close();
    co_await expect_raises<errc::closed>(from.receive());
  }

  static task<> destroyed_halves() {
    auto [to, from] = Kit::template make<int>(1);
    {
      auto sender = std::move(to);
      co_await sender.send(1);
    }
    EXPECT_EQ(co_await from.receive(), 1);
    EXPECT_EQ(co_await from.receive(), std::nullopt);
    auto [to_nobody, unread] = Kit::template make<int>(2);
    {
      auto receiver = std::move(unread);
      co_await to_nobody.send(1);
    }
    co_await expect_raises<errc::broken>(to_nobody.send(2));
  }

  static task<> many() {
    auto [to, from] = Kit::template make<int>(3);
    std::vector<int> got;
    co_await with_scope([&](scope& readers) -> task<> {
      for (int i = 0; i < 3; ++i) readers.spawn(detail::receive_items<decltype(from)>, &from, &got);
      co_await with_scope([&](scope& writers) -> task<> {
        for (int i = 0; i < 3; ++i) {
          writers.spawn(detail::send_items<decltype(to)>, &to, i * 10, 10);
        }
        co_await writers.join();
      });
      to.close();
    });
    EXPECT_EQ(got.size(), 30u);
    std::array<int, 30> seen{};
    for (const int item : got) {
      if (item >= 0 && item < 30) ++seen[static_cast<std::size_t>(item)];
    }
    for (std::size_t i = 0; i < seen.size(); ++i) EXPECT_EQ(seen[i], 1) << "item " << i;
  }

  static task<> ownership() {
    const auto counted = std::make_shared<int>(7);
    {
      auto [to, from] = Kit::template make<std::unique_ptr<std::shared_ptr<int>>>(3);
      for (int i = 0; i < 3; ++i) {
        co_await to.send(std::make_unique<std::shared_ptr<int>>(counted));
      }
      auto one = co_await from.receive();
      EXPECT_TRUE(one && *one && ***one == 7);
    }
    EXPECT_EQ(counted.use_count(), 1);
  }

  static task<> fairness() {
    auto [to, from] = Kit::template make<int>(1);
    std::array<std::vector<int>, 3> got;
    co_await with_scope([&](scope& s) -> task<> {
      for (std::vector<int>& one : got) {
        s.spawn(detail::receive_item<decltype(from)>, &from, &one);
        co_await sleep(duration::milliseconds(1));
      }
      co_await detail::send_items(&to, 0, 3);
    });
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(got[static_cast<std::size_t>(i)], std::vector<int>{i});
    }
  }

  static task<> fair_sends() {
    auto [to, from] = Kit::template make<int>(1);
    std::vector<int> got;
    co_await with_scope([&](scope& s) -> task<> {
      co_await to.send(0);
      for (int i = 1; i < 4; ++i) {
        s.spawn(detail::send_items<decltype(to)>, &to, i, 1);
        co_await sleep(duration::milliseconds(1));
      }
      for (int i = 0; i < 4; ++i) co_await detail::receive_item(&from, &got);
    });
    EXPECT_EQ(got, (std::vector<int>{0, 1, 2, 3}));
  }

  static task<> cancelled_send(victim& v) {
    auto [to, from] = Kit::template make<int>(1);
    std::vector<int> got;
    int sent = 0;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(detail::receive_items_slowly<decltype(from)>, &from, &got);
      co_await v.run(detail::send_and_count(&to, &sent, 4));
      to.close();
    });
    EXPECT_EQ(got.size(), static_cast<std::size_t>(sent)) << "sent is received, not sent is not";
    for (std::size_t i = 0; i < got.size(); ++i) EXPECT_EQ(got[i], static_cast<int>(i));
  }

  static task<> cancelled_receive(victim& v) {
    auto [to, from] = Kit::template make<int>(1);
    std::vector<int> got;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(detail::send_items_and_close<decltype(to)>, &to, 4);
      co_await v.run(detail::receive_items(&from, &got));
      co_await detail::receive_items(&from, &got);
    });
    EXPECT_EQ(got, (std::vector<int>{0, 1, 2, 3})) << "a cancelled receive has taken no item";
  }

  static task<> cancelled_with_items(victim& v) {
    auto [to, from] = Kit::template make<int>(4);
    co_await detail::send_items_and_close(&to, 4);
    std::vector<int> got;
    co_await v.run([](decltype(from)* mine, std::vector<int>* into) -> task<> {
      co_await yield();  // a point at least, where no receive has one
      co_await detail::receive_items(mine, into);
    }(&from, &got));
    co_await detail::receive_items(&from, &got);
    EXPECT_EQ(got, (std::vector<int>{0, 1, 2, 3})) << "a cancelled receive has taken no item";
  }

  static task<> behind_a_receive(victim& v) {
    auto [to, from] = Kit::template make<int>(1);
    std::vector<int> first;
    std::vector<int> behind;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(detail::receive_item_later<decltype(from)>, &from, &behind);
      s.spawn(detail::send_items_late<decltype(to)>, &to, 2);
      co_await v.run(detail::receive_item(&from, &first));
    });
    EXPECT_TRUE(behind == std::vector<int>{0} || behind == std::vector<int>{1});
  }

  static task<> behind_a_send(victim& v) {
    auto [to, from] = Kit::template make<int>(1);
    std::vector<int> got;
    co_await to.send(0);
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(detail::receive_items_late<decltype(from)>, &from, &got, 2);
      s.spawn(detail::send_item_later<decltype(to)>, &to, 2);
      co_await v.run(detail::send_items(&to, 1, 1));
    });
    EXPECT_TRUE(got == std::vector<int>({0, 2}) || got == std::vector<int>({0, 1, 2}));
  }
};

}  // namespace weir::testing

/// Registers a test for each rule of channels over the kit.
#define WEIR_CHANNEL_CONTRACT(...)                                                         \
  [[maybe_unused]] static const bool WEIR_TEST_JOIN(weir_channel_contract_, __COUNTER__) = \
      ::weir::testing::add_contract(#__VA_ARGS__,                                          \
                                    ::weir::testing::channel_contract<__VA_ARGS__>::rules())
