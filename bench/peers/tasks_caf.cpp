// CAF's side of tasks_bench: actors on one scheduler thread. An actor that is asked and answers is
// the nearest thing to a task that is spawned and awaited.
#include "../measure.hpp"
#include <caf/all.hpp>

#include <atomic>
#include <cstdint>

namespace {

caf::behavior number(caf::event_based_actor* self, std::uint64_t n) {
  return {[self, n](caf::get_atom) {
    self->quit();
    return n;
  }};
}

struct counting {
  std::int64_t count = 0;
  std::int64_t done = 0;
  std::uint64_t sum = 0;
};

// Spawns a child, asks it, and goes on when it has answered.
void next(caf::stateful_actor<counting>* self, const caf::actor& report) {
  if (self->state.done == self->state.count) {
    self->send(report, self->state.sum);
    self->quit();
    return;
  }
  const auto child = self->spawn(number, static_cast<std::uint64_t>(self->state.done++));
  self->request(child, caf::infinite, caf::get_atom::value).await([self, report](std::uint64_t n) {
    self->state.sum += n;
    next(self, report);
  });
}

caf::behavior spawn_and_await(caf::stateful_actor<counting>* self, std::int64_t count,
                              const caf::actor& report) {
  self->state.count = count;
  return {[self, report](caf::ok_atom) { next(self, report); }};
}

caf::behavior add_one(caf::event_based_actor* self, const caf::actor& home) {
  self->send(home, caf::put_atom::value);
  self->quit();
  return {};
}

caf::behavior spawn_many(caf::stateful_actor<counting>* self, std::int64_t count,
                         const caf::actor& report) {
  self->state.count = count;
  return {[self](caf::ok_atom) {
            for (std::int64_t i = 0; i < self->state.count; ++i)
              self->spawn(add_one, caf::actor_cast<caf::actor>(self));
          },
          [self, report](caf::put_atom) {
            if (++self->state.done < self->state.count) return;
            self->send(report, static_cast<std::uint64_t>(self->state.done));
            self->quit();
          }};
}

template <class Work>
std::uint64_t run(caf::actor_system& system, Work work, std::int64_t count) {
  caf::scoped_actor self(system);
  std::uint64_t sum = 0;
  const auto worker = self->spawn(work, count, caf::actor_cast<caf::actor>(self));
  self->send(worker, caf::ok_atom::value);
  self->receive([&sum](std::uint64_t value) { sum = value; });
  return sum;
}

}  // namespace

int main(int argc, char** argv) {
  const std::int64_t scale = bench::is_small(argc, argv) ? 1000 : 1;
  caf::actor_system_config config;
  config.set("scheduler.max-threads", 1);
  caf::actor_system system{config};
  // Once in each round: three times would take a minute and a half.
  bench::measure<1>("spawn_await", 2'000'000 / scale,
                    [&](std::int64_t n) { return run(system, spawn_and_await, n); });
  bench::measure<1>("spawn_join/n=1000000", 1'000'000 / scale,
                    [&](std::int64_t n) { return run(system, spawn_many, n); });
}
