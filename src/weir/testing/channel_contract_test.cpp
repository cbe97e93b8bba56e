// The contract of channels: over weir's own, over one written as a user would, and over wrong ones.
#include <weir/flow/channel.hpp>

#include <weir/core.hpp>
#include <weir/flow/event.hpp>
#include <weir/flow/mutex.hpp>
#include <weir/testing/contracts/channel_contract.hpp>
#include <weir/testing/internal/caught_failures.hpp>

#include <algorithm>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace weir::channel_contract_test {
namespace {

struct weir_channels {
  template <class T>
  static auto make(std::size_t capacity) {
    return channel<T>(capacity);
  }
};
struct cross_channels {
  template <class T>
  static auto make(std::size_t capacity) {
    return cross::channel<T>(capacity);
  }
};
// A macro of a user's own has all its contracts on one line.
#define TWO_CONTRACTS(first, second) \
  WEIR_CHANNEL_CONTRACT(first);      \
  WEIR_CHANNEL_CONTRACT(second)
TWO_CONTRACTS(weir_channels, cross_channels);

// What may be wrong with a channel.
enum class fault : std::uint8_t {
  none,
  unbounded,
  newest_first,
  drops_at_close,
  forgets_to_wake_at_close,
  keeps_sending_to_nobody,
  takes_before_it_waits,
  queues_before_it_waits,
  takes_what_lay_there_before_it_waits,
  forgets_receives_behind,
  forgets_sends_behind,
  lets_sends_overtake,
  outlives_its_sender,
  outlives_its_receiver,
};

fault planted = fault::none;

// One at a time is inside. Who is cancelled inside frees it, and tells nobody.
struct silent_lock {
  bool is_taken = false;
  auto_event left{"silent lock"};

  task<std::shared_ptr<bool>> lock() {
    while (is_taken) co_await left.wait();
    is_taken = true;
    co_return std::shared_ptr<bool>(&is_taken, [](bool* taken) { *taken = false; });
  }
};

// A channel of a user's own: two lines of tasks, and an event for the first of each.
template <class T>
struct conveyor {
  std::size_t capacity;
  std::deque<T> items{};
  bool has_ended = false;  // the sender has gone
  bool is_left = false;    // the receiver has
  mutex senders{"senders"};
  mutex receivers{"receivers"};
  auto_event room{"room"};
  auto_event news{"news"};
  silent_lock silent_senders{};
  silent_lock silent_receivers{};
};

template <class T>
class conveyor_sender {
 public:
  explicit conveyor_sender(std::shared_ptr<conveyor<T>> to) : to_(std::move(to)) {}
  conveyor_sender(conveyor_sender&&) noexcept = default;
  ~conveyor_sender() {
    if (planted != fault::outlives_its_sender) close();
  }

  task<> send(T item) {
    if (!to_) raise(error(errc::closed));
    conveyor<T>& to = *to_;
    if (planted == fault::lets_sends_overtake) {
      auto pause =
          duration::microseconds(100);  // the longer it has waited, the more seldom it looks
      for (; to.items.size() >= to.capacity && !to.is_left; pause = pause * 2)
        co_await sleep(pause);
    }
    const auto turn = co_await turn_in(to);
    while (to.items.size() >= to.capacity && !to.is_left && planted != fault::unbounded) {
      co_await to.room.wait();
    }
    if (to.is_left && planted != fault::keeps_sending_to_nobody) raise(error(errc::broken));
    if (planted == fault::newest_first) {
      to.items.push_front(std::move(item));
    } else {
      to.items.push_back(std::move(item));
    }
    to.news.set();
    to.silent_senders.left.set();
    if (planted == fault::queues_before_it_waits) co_await yield();
  }
  void close() {
    if (!to_) return;
    to_->has_ended = true;
    if (planted == fault::drops_at_close) to_->items.clear();
    if (planted != fault::forgets_to_wake_at_close) to_->news.set();
    to_ = nullptr;
  }

 private:
  static task<std::shared_ptr<void>> turn_in(conveyor<T>& to) {
    if (planted == fault::forgets_sends_behind) co_return co_await to.silent_senders.lock();
    co_return std::make_shared<mutex::guard>(co_await to.senders.lock());
  }

  std::shared_ptr<conveyor<T>> to_;
};

template <class T>
class conveyor_receiver {
 public:
  explicit conveyor_receiver(std::shared_ptr<conveyor<T>> from) : from_(std::move(from)) {}
  conveyor_receiver(conveyor_receiver&&) noexcept = default;
  ~conveyor_receiver() {
    if (planted != fault::outlives_its_receiver) close();
  }

  task<std::optional<T>> receive() {
    if (!from_) raise(error(errc::closed));
    conveyor<T>& from = *from_;
    const auto turn = co_await turn_in(from);
    const bool lay_there = !from.items.empty();
    while (from.items.empty() && !from.has_ended) co_await from.news.wait();
    from.silent_receivers.left.set();
    if (from.items.empty()) co_return std::nullopt;
    T item = std::move(from.items.front());
    from.items.pop_front();
    from.room.set();
    if (planted == fault::takes_before_it_waits && !lay_there) co_await yield();
    if (planted == fault::takes_what_lay_there_before_it_waits && lay_there)
      co_await sleep(duration::microseconds(10));
    co_return item;
  }
  void close() {
    if (!from_) return;
    from_->is_left = true;
    from_->room.set();
    from_ = nullptr;
  }

 private:
  static task<std::shared_ptr<void>> turn_in(conveyor<T>& from) {
    if (planted == fault::forgets_receives_behind) co_return co_await from.silent_receivers.lock();
    co_return std::make_shared<mutex::guard>(co_await from.receivers.lock());
  }

  std::shared_ptr<conveyor<T>> from_;
};

struct conveyors {
  template <class T>
  static auto make(std::size_t capacity) {
    const auto state = std::make_shared<conveyor<T>>(capacity);
    return std::pair(conveyor_sender<T>(state), conveyor_receiver<T>(state));
  }
};
WEIR_CHANNEL_CONTRACT(conveyors);

// The rules that a channel with this fault breaks, one to a line.
std::string broken(fault one) {
  planted = one;
  std::string all;
  for (const std::string& rule :
       testing::broken_rules(testing::channel_contract<conveyors>::rules())) {
    all += rule + "\n";
  }
  planted = fault::none;
  return all;
}

TEST(ChannelContract, is_kept_by_a_right_channel) { EXPECT_EQ(broken(fault::none), ""); }

TEST(ChannelContract, finds_a_channel_without_a_bound) {
  EXPECT_NE(broken(fault::unbounded).find("send waits while the channel is full"),
            std::string::npos);
}
TEST(ChannelContract, finds_one_that_changes_the_order) {
  EXPECT_NE(broken(fault::newest_first).find("items arrive in the order of their sends"),
            std::string::npos);
}
TEST(ChannelContract, finds_one_that_loses_what_is_queued_at_the_end) {
  EXPECT_NE(broken(fault::drops_at_close).find("what was sent before the end is still received"),
            std::string::npos);
}
TEST(ChannelContract, finds_one_that_leaves_a_receiver_waiting_for_ever) {
  EXPECT_NE(broken(fault::forgets_to_wake_at_close).find("the end is seen by a receive"),
            std::string::npos);
}
TEST(ChannelContract, finds_one_that_sends_to_nobody) {
  EXPECT_NE(broken(fault::keeps_sending_to_nobody).find("when the receiver goes"),
            std::string::npos);
}
TEST(ChannelContract, finds_one_whose_cancelled_receive_loses_an_item_by_that_rule_alone) {
  EXPECT_EQ(broken(fault::takes_before_it_waits),
            "a receive cancelled at any point has taken no item\n");
}
TEST(ChannelContract, finds_one_whose_cancelled_send_has_sent_by_that_rule_alone) {
  EXPECT_EQ(broken(fault::queues_before_it_waits),
            "a send cancelled at any point has queued its item or not touched it\n");
}
TEST(ChannelContract, finds_one_whose_receive_takes_what_lay_there_and_waits_by_that_rule_alone) {
  EXPECT_EQ(broken(fault::takes_what_lay_there_before_it_waits),
            "a receive that finds an item and is cancelled at any point has taken none\n");
}
TEST(ChannelContract, finds_one_whose_cancelled_receive_lets_those_behind_it_sleep) {
  EXPECT_EQ(broken(fault::forgets_receives_behind),
            "when a receive that waits is cancelled at any point, those behind it go on\n");
}
TEST(ChannelContract, finds_one_whose_cancelled_send_lets_those_behind_it_sleep) {
  EXPECT_EQ(broken(fault::forgets_sends_behind),
            "when a send that waits is cancelled at any point, those behind it go on\n");
}
TEST(ChannelContract, finds_one_whose_sends_overtake_each_other_by_that_rule_alone) {
  EXPECT_EQ(broken(fault::lets_sends_overtake),
            "sends that wait are admitted in the order in which they came\n");
}
TEST(ChannelContract, finds_one_that_goes_on_without_its_halves_by_that_rule_alone) {
  const std::string rule = "a half that is destroyed has gone as a closed one has\n";
  EXPECT_EQ(broken(fault::outlives_its_sender), rule);
  EXPECT_EQ(broken(fault::outlives_its_receiver), rule);
}

}  // namespace
}  // namespace weir::channel_contract_test
