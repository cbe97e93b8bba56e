// The limit for flow_mt_bench: what two cores need to hand things to each other, and nothing else.
// No tasks, no waiting but in a loop, no closing, no cancellation: a line of the cache each way,
// and a ring of one producer and one consumer.
#include <weir/base/pause_processor.hpp>

#include "../measure.hpp"

#include <atomic>
#include <cstdint>
#include <thread>

namespace {

struct alignas(128) line {
  std::atomic<std::uint64_t> value{0};

  void wait_for(std::uint64_t wanted) const {
    while (value.load(std::memory_order_acquire) != wanted) weir::detail::pause_processor();
  }
};

std::uint64_t ping_pong(std::int64_t count) {
  line there;
  line back;
  const auto last = static_cast<std::uint64_t>(count);
  std::thread other([&] {
    for (std::uint64_t i = 1; i <= last; ++i) {
      there.wait_for(i);
      back.value.store(i, std::memory_order_release);
    }
  });
  std::uint64_t played = 0;
  for (std::uint64_t i = 1; i <= last; ++i) {
    there.value.store(i, std::memory_order_release);
    back.wait_for(i);
    ++played;
  }
  other.join();
  return played;
}

// Each end keeps what it knew last of the other's position, and looks again when that is used up.
class ring {
 public:
  static constexpr std::uint64_t capacity = 1024;

  void push(std::uint64_t item) {
    while (pushed_ == known_popped_ + capacity) {
      known_popped_ = popped_.value.load(std::memory_order_acquire);
      if (pushed_ == known_popped_ + capacity) weir::detail::pause_processor();
    }
    items_[pushed_ % capacity] = item;
    end_.value.store(++pushed_, std::memory_order_release);
  }
  std::uint64_t pop() {
    while (taken_ == known_end_) {
      known_end_ = end_.value.load(std::memory_order_acquire);
      if (taken_ == known_end_) weir::detail::pause_processor();
    }
    const std::uint64_t item = items_[taken_ % capacity];
    popped_.value.store(++taken_, std::memory_order_release);
    return item;
  }

 private:
  line end_;
  alignas(128) std::uint64_t pushed_ = 0;  // the producer's own
  std::uint64_t known_popped_ = 0;
  line popped_;
  alignas(128) std::uint64_t taken_ = 0;  // the consumer's own
  std::uint64_t known_end_ = 0;
  alignas(128) std::uint64_t items_[capacity] = {};
};

std::uint64_t one_to_one(std::int64_t count) {
  ring between;
  std::thread producer([&] {
    for (std::int64_t i = 0; i < count; ++i) between.push(static_cast<std::uint64_t>(i));
  });
  std::uint64_t sum = 0;
  for (std::int64_t i = 0; i < count; ++i) sum += between.pop();
  producer.join();
  return sum;
}

}  // namespace

int main(int argc, char** argv) {
  const std::int64_t scale = bench::is_small(argc, argv) ? 1000 : 1;
  bench::measure("channel_ping_pong", 200'000 / scale, ping_pong, bench::wall_ns);
  bench::measure("channel_one_to_one/capacity=1024", 4'000'000 / scale, one_to_one, bench::wall_ns);
}
