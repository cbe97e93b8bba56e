// One seed of an explored program is one run, in every build: what is decided in some runs is held
// against explored_fingerprints.txt, a line for each program. Dev has this test, and
// `./dev soak` and `./dev package` ask the release. As tests/sim/fingerprints.py does for drills.
#include <weir/base/hash.hpp>
#include <weir/io/socket.hpp>

#include "explored_kernel.hpp"
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <string_view>

namespace weir::corpora {

namespace {

constexpr std::uint64_t schedules = 24;  // each strategy has its turns
constexpr std::uint64_t first_seed = 1;

// The kernels decide about tasks and selects only: here bytes come late and in pieces as well.
task<> echo_over_sockets() {
  constexpr std::size_t pieces = 3;
  listener door = co_await listen({});
  co_await together({[&]() -> task<> {
                       socket peer = co_await door.accept();
                       while (const bytes some = co_await peer.receive()) co_await peer.send(some);
                     },
                     [&]() -> task<> {
                       socket to = co_await connect(door.local());
                       const std::string text(1'000, 'x');
                       for (std::size_t i = 0; i < pieces; ++i) co_await to.send(text);
                       co_await to.shutdown_send();
                       std::size_t back = 0;
                       while (const bytes some = co_await to.receive()) back += some.size();
                       if (back != pieces * text.size()) wrong("bytes are lost");
                     }});
}

// Each decision of its runs that is not the plain one, and how many steps there were.
std::uint64_t fingerprint_of(explored_program& program) {
  explorer with(program, {});
  std::uint64_t hash = 0;
  const auto add = [&hash](std::uint64_t number) { hash = mix(hash + 1) ^ number; };
  for (std::uint64_t n = 1; n <= schedules; ++n) {
    const choice_log log = with.record({.how = portfolio(n), .seed = first_seed + n - 1});
    for (const choice& one : log.exceptions) {
      add(static_cast<std::uint64_t>(one.kind));
      add(one.index);
      add(one.value);
    }
    add(with.steps());
  }
  return mix(hash);
}

std::string line_of(const kernel& one) {
  explored_kernel program(one);
  return fmt::format("{}, {} schedules from seed {}: {:016x}\n", one.name, schedules, first_seed,
                     fingerprint_of(program));
}

std::string line_of(std::span<const kernel> corpus, std::string_view name) {
  for (const kernel& one : corpus) {
    if (one.name == name) return line_of(one);
  }
  return fmt::format("there is no kernel {}\n", name);
}

std::string lines_of_today() {
  return "# What some explored programs decide, in every build. To refresh:\n"
         "# WEIR_WRITE_FINGERPRINTS=1 build/dev/corpora_test --gtest_filter='fingerprints.*'\n" +
         line_of(goker_communication(), "istio#18454") + line_of(goker_mixed(), "etcd#7443") +
         line_of(demos(), "coffee machine") + line_of(sctbench_locks(), "din_phil5") +
         line_of(sctbench_locks(), "reorder_20") + line_of(sctbench_lock_free(), "WSQ") +
         line_of({.name = "echo over sockets", .kind = "", .body = &echo_over_sockets});
}

TEST(fingerprints, of_explored_programs_are_the_same_in_every_build) {
  const std::string today = lines_of_today();
  EXPECT_EQ(lines_of_today(), today) << "two runs of one build differ";
  if (std::getenv("WEIR_WRITE_FINGERPRINTS")) {
    std::ofstream(WEIR_EXPLORED_FINGERPRINTS) << today;
    return;
  }
  std::ifstream file(WEIR_EXPLORED_FINGERPRINTS);
  const std::string listed{std::istreambuf_iterator(file), {}};
  EXPECT_EQ(today, listed)
      << "Does the dev preset differ, too? Then these programs, weir or the explorer do something "
         "else than before; if they should, the file's head says how it is refreshed. Otherwise "
         "builds differ: an address decides, or a size, or what is undefined.";
}

}  // namespace

}  // namespace weir::corpora
