// What scopes carry besides tasks: cleanup that waits, values that go down the tree, and several
// errors as one; docs/guide/scopes.md shows them. It runs to its end by itself.
#include <weir/core/cleanup.hpp>
#include <weir/core/local.hpp>
#include <weir/io.hpp>

#include <cstdio>
#include <stdexcept>
#include <string>
#include <utility>

using namespace weir::literals;

namespace {

// [cleanup]
struct session {
  weir::task<> say_good_bye() {
    co_await weir::sleep(1_ms);  // a destructor could not wait
    std::printf("cleanup: good bye\n");
  }
};
weir::task<> talk() {
  session peer;
  co_await weir::with_cleanups([&](weir::cleanups& after) -> weir::task<> {
    after.defer_async([&]() -> weir::task<> { co_await peer.say_good_bye(); },
                      {.deadline = 5_s, .name = "good bye"});
    co_await weir::sleep(1_h);  // whatever ends this: a value, an error, a cancellation
  });
}
// [/cleanup]

// [local]
constinit const weir::local<std::string> trace_id{"trace_id"};

weir::task<> query_database() {
  co_await weir::sleep(1_ms);
  std::printf("local: query for %s\n", trace_id.get() ? trace_id.get()->c_str() : "nobody");
}
weir::task<> handle(std::string id) {
  co_await weir::with_local(trace_id, std::move(id), query_database());
}
// [/local]

// [split]
weir::task<> time_out() {
  weir::raise(weir::error(weir::errc::timed_out));
  co_return;
}
weir::task<> hit_a_bug() {
  throw std::logic_error("a bug");
  co_return;
}
weir::task<> tell_apart() {
  try {
    co_await weir::when_all(time_out(), hit_a_bug());
  } catch (const weir::error_group& all) {
    const auto [ours, others] = all.split_by<weir::exception>();
    std::printf("errors: %d of weir, %d of others\n", static_cast<int>(ours.size()),
                static_cast<int>(others.size()));
    try {
      others.raise_if_any();  // the rest goes on; nothing happens when there is none
    } catch (const std::logic_error& e) {
      std::printf("errors: %s\n", e.what());
    }
  }
}
// [/split]

weir::task<> tour() {
  static_cast<void>(co_await weir::as_result(weir::with_timeout(1_ms, talk())));
  co_await handle("request 7");
  co_await query_database();
  co_await tell_apart();
}

}  // namespace

int main() { return weir::run(tour()); }
