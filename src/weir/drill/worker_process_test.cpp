#include <weir/drill/worker_process.hpp>

#include <weir/base/assert.hpp>

#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <string>
#include <vector>

namespace weir::drill::worker_process_test {
namespace {

template <class F>
struct job final : worker_job {
  explicit job(F with) : body(with) {}
  void work(const worker_voice& voice) override { body(voice); }
  F body;
};

struct ear final : worker_listener {
  void hear(std::string_view line) override { lines.emplace_back(line); }
  std::vector<std::string> lines;
};

std::vector<std::string> hear_all(worker_process& from, worker_job& of) {
  ear to;
  from.start(of);
  while (from.is_running()) {
    const std::array descriptors{-1, from.descriptor()};
    for (const std::size_t which : wait_for_words(descriptors)) {
      EXPECT_EQ(which, 1u);
      from.read(to);
    }
  }
  return to.lines;
}

TEST(WorkerProcess, tells_line_by_line_and_keeps_breaks_inside_of_a_line) {
  worker_process one;
  job talks([](const worker_voice& voice) {
    voice.say("first");
    voice.say("second\nof two");
    voice.say(std::string(100'000, 'x'));
  });
  EXPECT_EQ(hear_all(one, talks),
            (std::vector<std::string>{"first", "second\nof two", std::string(100'000, 'x')}));
  EXPECT_EQ(one.death(), "");
}

TEST(WorkerProcess, tells_how_it_died_and_what_it_said_before_on_standard_error) {
  worker_process one;
  job fails([](const worker_voice& voice) {
    voice.speak_errors();
    WEIR_ASSERT(2 + 2 == 5);
  });
  const std::vector<std::string> heard = hear_all(one, fails);
  ASSERT_FALSE(heard.empty());
  EXPECT_TRUE(heard.front().starts_with("weir: assertion failed: ")) << heard.front();
  EXPECT_EQ(one.death(), "died by signal 6");
}

TEST(WorkerProcess, is_cut_when_its_time_on_a_processor_is_over) {
  worker_process one;
  job spins([](const worker_voice&) {
    limit_cpu(duration::milliseconds(1));
    for (volatile unsigned n = 0;;) n = n + 1;
  });
  hear_all(one, spins);
  EXPECT_FALSE(one.death().empty());
  EXPECT_GT(one.cpu(), duration::milliseconds(500));
}

TEST(WorkerProcess, may_begin_again_after_its_end) {
  worker_process one;
  job ends([](const worker_voice&) { std::_Exit(3); });
  EXPECT_TRUE(hear_all(one, ends).empty());
  EXPECT_EQ(one.death(), "ended with 3");
  job talks([](const worker_voice& voice) { voice.say("again"); });
  EXPECT_EQ(hear_all(one, talks), std::vector<std::string>{"again"});
  EXPECT_EQ(one.death(), "");
}

}  // namespace
}  // namespace weir::drill::worker_process_test
