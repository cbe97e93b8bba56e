// The limit for flow_bench: coroutines that hand values to each other with nothing around them. No
// scope, no errors, no cancellation, no closing, no clock: a ring, who waits on each side of it,
// and a queue of handles.
#include "../measure.hpp"

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <utility>

namespace {

struct ready_queue {
  static constexpr std::size_t room = 16;
  std::coroutine_handle<> ring[room];
  std::size_t head = 0;
  std::size_t tail = 0;

  void push(std::coroutine_handle<> one) { ring[tail++ % room] = one; }
  std::coroutine_handle<> next() {
    return head == tail ? std::noop_coroutine() : ring[head++ % room];
  }
  void run() {
    while (head != tail) next().resume();
  }
};
ready_queue ready;

/// Starts at once and goes when it ends.
struct detached {
  struct promise_type {
    detached get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void unhandled_exception() noexcept { std::terminate(); }
    void return_void() noexcept {}
  };
};

template <std::size_t Capacity>
class channel {
 public:
  auto send(std::uint64_t item) {
    struct awaiter {
      channel& to;
      std::uint64_t item;
      bool await_ready() const noexcept { return to.count_ != Capacity; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<> me) noexcept {
        to.sender_ = me;
        return ready.next();
      }
      void await_resume() const noexcept { to.push(item); }
    };
    return awaiter{*this, item};
  }
  auto receive() {
    struct awaiter {
      channel& from;
      bool await_ready() const noexcept { return from.count_ != 0; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<> me) noexcept {
        from.receiver_ = me;
        return ready.next();
      }
      std::uint64_t await_resume() const noexcept { return from.pop(); }
    };
    return awaiter{*this};
  }

 private:
  void push(std::uint64_t item) {
    items_[(first_ + count_++) % Capacity] = item;
    if (receiver_) ready.push(std::exchange(receiver_, nullptr));
  }
  std::uint64_t pop() {
    const std::uint64_t item = items_[first_];
    first_ = (first_ + 1) % Capacity;
    --count_;
    if (sender_) ready.push(std::exchange(sender_, nullptr));
    return item;
  }

  std::uint64_t items_[Capacity];
  std::size_t first_ = 0;
  std::size_t count_ = 0;
  std::coroutine_handle<> sender_;
  std::coroutine_handle<> receiver_;
};

using single = channel<1>;
using wide = channel<64>;

detached give_back(single& there, single& back, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) co_await back.send(co_await there.receive());
}
detached play(single& there, single& back, std::int64_t count, std::uint64_t& played) {
  for (std::int64_t i = 0; i < count; ++i) {
    co_await there.send(1);
    played += co_await back.receive();
  }
}
std::uint64_t ping_pong(std::int64_t count) {
  single there;
  single back;
  std::uint64_t played = 0;
  give_back(there, back, count);
  play(there, back, count, played);
  ready.run();
  return played;
}

detached produce(wide& to, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) co_await to.send(static_cast<std::uint64_t>(i));
}
detached consume(wide& from, std::int64_t count, std::uint64_t& sum) {
  for (std::int64_t i = 0; i < count; ++i) sum += co_await from.receive();
}
std::uint64_t channel_of_64(std::int64_t count) {
  wide between;
  std::uint64_t sum = 0;
  consume(between, count, sum);
  produce(between, count);
  ready.run();
  return sum;
}

}  // namespace

int main(int argc, char** argv) {
  const std::int64_t scale = bench::is_small(argc, argv) ? 1000 : 1;
  bench::measure("channel_ping_pong", 2'000'000 / scale, ping_pong);
  bench::measure("channel/capacity=64", 8'000'000 / scale, channel_of_64);
}
