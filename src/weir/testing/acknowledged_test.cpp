#include <weir/testing/acknowledged.hpp>

#include <weir/core.hpp>
#include <weir/testing/internal/caught_failures.hpp>

#include <string>

namespace weir {
namespace {

using namespace weir::literals;

// A worker that takes two letters and answers `answers` of them.
task<> work(broker* at, int answers) {
  const testing::acknowledged_at_end settled(*at);
  static_cast<void>(co_await at->put_queue("letters", {}));
  for (const char* text : {"one", "two"}) {
    static_cast<void>(co_await at->submit("letters", {.body = text}));
  }
  const auto taken = co_await at->lease("letters", 2, 1_s, std::nullopt);
  WEIR_REQUIRE(taken && taken->size() == 2);
  for (int i = 0; i < answers; ++i) {
    const std::string& receipt = (*taken)[static_cast<std::size_t>(i)].receipt;
    static_cast<void>(i == 0 ? co_await at->ack(receipt, "", "")
                             : co_await at->reject(receipt, "no"));
  }
}

task<> with_broker(int answers) {
  const auto letters = co_await broker::open({.dir = "/letters"});
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> { co_await letters->run(); });
    co_await work(letters.get(), answers);
    co_await letters->close();
  });
}

template <int Answers>
std::string failure() {
  const testing::caught_failures caught;
  testing::run_virtual(with_broker(Answers));
  return caught.text();
}

WEIR_TEST("a test whose messages all have their answer passes") { co_await with_broker(2); }

TEST(Acknowledged, fails_for_a_message_that_was_taken_and_forgotten) {
  EXPECT_EQ(failure<1>(),
            "queue letters: 1 message was taken and neither acknowledged nor given back");
  EXPECT_EQ(failure<0>(),
            "queue letters: 2 messages were taken and neither acknowledged nor given back");
  EXPECT_EQ(failure<2>(), "");
}

}  // namespace
}  // namespace weir
