// What exploring costs: whole runs of the bounded-buffer puzzle (two readers, a writer, one place;
// with notify_all, so that it never fails), and one step of one of its tasks.
#include <weir/sim/explore.hpp>

#include <weir/core.hpp>
#include <weir/flow/event.hpp>
#include <weir/flow/mutex.hpp>

#include "measure.hpp"

#include <string>

using weir::task;

namespace {

struct bounded_buffer {
  weir::mutex lock{"buffer"};
  weir::condition changed{"buffer changed"};
  int queued = 0;
};

task<> take(bounded_buffer* from, int count) {
  for (int i = 0; i < count; ++i) {
    auto held = co_await from->lock.lock();
    while (from->queued == 0) {
      held.unlock();
      co_await from->changed.wait();
      held = co_await from->lock.lock();
    }
    --from->queued;
    from->changed.notify_all();
  }
}

task<> put(bounded_buffer* to, int count) {
  for (int i = 0; i < count; ++i) {
    auto held = co_await to->lock.lock();
    while (to->queued == 1) {
      held.unlock();
      co_await to->changed.wait();
      held = co_await to->lock.lock();
    }
    ++to->queued;
    to->changed.notify_all();
  }
}

class puzzle final : public weir::explored_program {
 public:
  explicit puzzle(int items) : items_(items) {}
  WEIR_CORO_WRAPPER task<> body() override { return run(items_); }

 private:
  static task<> run(int items) {
    bounded_buffer buffer;
    co_await weir::with_scope([&](weir::scope& s) -> task<> {
      s.spawn(take, &buffer, items);
      s.spawn(take, &buffer, items);
      s.spawn(put, &buffer, 2 * items);
      co_await s.join();
    });
  }
  int items_;
};

void run(weir::strategy how, std::int64_t count) {
  const std::string what = weir::name(how);
  puzzle small(1);
  weir::explorer with(small, {});
  const auto schedules = [&](std::int64_t n) {
    for (std::int64_t i = 0; i < n; ++i) {
      const auto seed = static_cast<std::uint64_t>(i);
      if (with.run({.how = how, .seed = seed}).is_failed) return std::uint64_t{0};
    }
    return std::uint64_t{1};
  };
  bench::measure(("schedule/strategy=" + what).c_str(), count, schedules);

  puzzle large(1'000);
  weir::explorer steps_of(large, {});
  const std::int64_t runs = count / 4'000 + 1;
  const std::uint64_t before = steps_of.steps();
  const std::int64_t began = bench::cpu_ns();
  std::uint64_t failed = 0;
  for (std::int64_t i = 0; i < runs; ++i) {
    const auto seed = static_cast<std::uint64_t>(i);
    failed += steps_of.run({.how = how, .seed = seed}).is_failed ? 1 : 0;
  }
  const auto took = static_cast<double>(bench::cpu_ns() - began);
  bench::print_row(("step/strategy=" + what).c_str(),
                   took / static_cast<double>(steps_of.steps() - before), "ns", failed);
}

}  // namespace

int main(int argc, char** argv) {
  const std::int64_t count = bench::is_small(argc, argv) ? 200 : 200'000;
  for (const auto how :
       {weir::strategy::random, weir::strategy::pos, weir::strategy::pct2, weir::strategy::urw}) {
    run(how, count);
  }
}
