// What scopes carry besides tasks: cleanup that waits, values that go down the tree, fields of the
// log, the core, work that outlives a function, and several errors as one; docs/guide/scopes.md
// shows them. It runs to its end by itself.
#include <weir/base/log.hpp>
#include <weir/core/cleanup.hpp>
#include <weir/core/core_group.hpp>
#include <weir/core/local.hpp>
#include <weir/core/log_field.hpp>
#include <weir/io.hpp>

#include <cstdio>
#include <stdexcept>
#include <string>
#include <string_view>
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

// [log_field]
weir::task<> store_upload() {
  weir::log::info("stored", {{"bytes", 7}});  // knows nothing of requests
  co_return;
}
weir::task<> serve_upload(std::string id) {
  co_await weir::with_log_field("request", std::move(id), store_upload());
}
// [/log_field]

// [core]
int stock_of(int item) { return 100 + item; }  // kept by the core that the item belongs to

weir::task<int> look_up_stock(int item) {
  if (!weir::is_on_core()) co_return stock_of(item);  // a program of one loop
  weir::core_group& all = weir::cores();
  co_return co_await all.call(all.core_of(item), stock_of, item);
}
weir::task<> with_and_without_cores() {
  std::printf("core: %d\n", co_await look_up_stock(1));
  weir::core_group one(1);  // run_on_all_cores makes a loop for each core; here it is this loop
  co_await one.run(0, []() -> weir::task<> {
    std::printf("core %d: %d\n", static_cast<int>(weir::this_core()), co_await look_up_stock(2));
  }());
}
// [/core]

// [background]
weir::task<> make_thumbnail(std::string picture) {
  co_await weir::sleep(1_ms);
  std::printf("background: %s is smaller now\n", picture.c_str());
}
weir::task<> answer_upload(weir::scope& background, std::string picture) {
  background.spawn(make_thumbnail, std::move(picture));  // outlives this function
  std::printf("background: answered\n");
  co_return;
}
weir::task<> program() {
  co_await weir::with_scope({.name = "thumbnails", .tasks_max = 100, .failures = weir::report},
                            [](weir::scope& background) -> weir::task<> {
                              co_await answer_upload(background, "cat.png");
                            });  // and waits for what is left of it
}
// [/background]

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

// [collect]
weir::task<> refresh(const char* shelf, bool is_there) {
  co_await weir::sleep(1_ms);
  if (!is_there) weir::raise(weir::error(weir::errc::not_found, shelf));
  std::printf("collect: %s\n", shelf);
}
weir::task<> refresh_all() {
  try {
    co_await weir::with_scope({.name = "shelves", .tasks_max = 2, .failures = weir::collect},
                              [](weir::scope& s) -> weir::task<> {
                                co_await s.spawn_when_room(refresh, "apples", false);
                                co_await s.spawn_when_room(refresh, "pears", true);
                                co_await s.spawn_when_room(refresh, "plums", false);
                                co_await s.spawn_when_room(refresh, "cherries", true);
                              });
  } catch (const weir::error_group& all) {  // once all four have ended
    std::printf("collect: %d are missing\n", static_cast<int>(all.size() + all.dropped()));
  }
}
// [/collect]

weir::task<> tour() {
  static_cast<void>(co_await weir::as_result(weir::with_timeout(1_ms, talk())));
  co_await handle("request 7");
  co_await query_database();
  co_await serve_upload("8");
  co_await with_and_without_cores();
  co_await program();
  co_await refresh_all();
  co_await tell_apart();
}

}  // namespace

int main() {
  weir::log::set_sink({.write = [](void*, weir::log::level, std::string_view text) noexcept {
    std::printf("log: %.*s\n", static_cast<int>(text.size()), text.data());
  }});
  return weir::run(tour());
}
