// Promises and futures, one function for each use; docs/guide/futures.md shows them. It runs to its
// end by itself.
#include <weir/flow/c_callback.hpp>
#include <weir/flow/callback.hpp>
#include <weir/flow/gather.hpp>
#include <weir/flow/promise.hpp>
#include <weir/flow/to_callback.hpp>
#include <weir/io.hpp>

#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace weir::literals;

namespace {

weir::task<int> add(int a, int b) {
  co_await weir::sleep(1_ms);
  co_return a + b;
}
weir::task<std::string> load_user(int id) {
  co_await weir::sleep(1_ms);
  if (id < 0) weir::raise(weir::error(weir::errc::not_found, "no such user"));
  co_return "user " + std::to_string(id);
}

// [then]
weir::task<> handlers() {
  weir::future<int> sum = weir::spawn_future(add(2, 3));
  co_await sum.then([](int n) { return 2 * n; })
      .then(load_user)  // a task is adopted, as another future is
      .then([](const std::string& name) { std::printf("loaded %s\n", name.c_str()); })
      .catch_error([](const weir::error&) { std::printf("this error never comes\n"); })
      .finally([] { std::printf("done\n"); });
}
// [/then]

// [thread]
void measure(weir::promise<double> result) {  // on a thread of somebody else's, without a loop
  result.resolve(36.6);
}
weir::task<> from_a_thread() {
  weir::promise<double> asked;
  weir::future<double> temperature = asked.get_future();
  std::thread sensor(measure, std::move(asked));
  std::printf("temperature: %.1f\n", co_await temperature);
  sensor.join();
}
// [/thread]

// [errors]
weir::task<> errors() {
  auto user = weir::spawn_future(load_user(-1));
  co_await user.catch_error([](const weir::error& reason) -> std::string {
    std::printf("no user: %.*s\n", static_cast<int>(reason.message().size()),
                reason.message().data());
    return "nobody";
  });
  weir::future<int> answer = [] { return weir::promise<int>().get_future(); }();
  const weir::result<int> outcome = co_await weir::as_result(answer);
  std::printf("%s\n", outcome.error() == weir::errc::broken ? "the promise was broken" : "?");
}
// [/errors]

// [shared]
weir::task<> shared() {
  weir::promise<std::string> config;
  const weir::shared_future<std::string> loaded = config.get_future();
  auto length = loaded.then([](const std::string& text) { return text.size(); });
  auto first = loaded.then([](const std::string& text) { return text.front(); });
  config.resolve("port = 7000");
  auto [size, letter] = co_await weir::all(std::move(length), std::move(first));
  std::printf("%zu letters, the first is %c\n", size, letter);
}
// [/shared]

// [many_readers]
// Loads a user once, however many ask; whoever can't be a user is refused at once.
class user_cache {
 public:
  weir::shared_future<std::string> get(int id) {
    if (id < 0)
      return weir::rejected_future<std::string>(weir::error(weir::errc::invalid_argument)).share();
    auto [at, is_new] = loaded_.try_emplace(id);
    if (is_new) at->second = weir::spawn_future(load_user(id)).share();
    return at->second;
  }

 private:
  std::map<int, weir::shared_future<std::string>> loaded_;
};
// [/many_readers]

weir::task<> cache_tour() {
  user_cache users;
  const auto first = users.get(5);
  const auto second = users.get(5);
  const bool is_same = &co_await first == &co_await second;
  const auto refused = users.get(-5);
  const auto nobody = co_await weir::as_result(refused);
  std::printf("%s, one nobody: %s\n", is_same ? "one user for both" : "two users",
              std::string(name(nobody.error().code())).c_str());
}

// [gather]
weir::task<> gather() {
  auto [user, sum] =
      co_await weir::all(weir::spawn_future(load_user(7)), weir::spawn_future(add(1, 2)));
  std::printf("%s has %d\n", user.c_str(), sum);

  std::vector<weir::future<std::string>> mirrors;
  for (int id : {-1, 8, -2}) mirrors.push_back(weir::spawn_future(load_user(id)));
  std::printf("any: %s\n", (co_await weir::any(std::move(mirrors))).c_str());

  auto [good, bad] = co_await weir::all_settled(weir::spawn_future(load_user(9)),
                                                weir::spawn_future(load_user(-9)));
  std::printf("settled: %s, and one %s\n", good->c_str(), bad.failure() ? "failed" : "did not");
}
// [/gather]

// [block]
int from_outside(weir::future<int> answer) {  // on a thread without a loop
  return answer.get();
}
// [/block]

weir::task<> block_tour() {
  auto answer = weir::spawn_future(add(40, 2));
  const int got = co_await weir::blocking([&] { return from_outside(std::move(answer)); });
  std::printf("got %d\n", got);
}

// [once]
// A library that calls back, on a thread of its own.
std::thread fetch(const std::string& url, std::function<void(int, std::string)> done) {
  return std::thread([url, done = std::move(done)] { done(200, "<" + url + ">"); });
}
weir::task<> callbacks() {
  std::thread library;
  auto [status, body] = co_await weir::from_callback<int, std::string>(
      [&](auto done) { library = fetch("example.org", done); });
  std::printf("%d %s\n", status, body.c_str());
  library.join();
}
// [/once]

// [kept]
// Calls back when it has something: until then the callbacks are kept.
class doorbell {
 public:
  weir::task<int> next() {
    co_return co_await weir::from_callback<int>(
        [this](weir::callback<int> done) { waiting_.push_back(std::move(done)); });
  }
  void ring(int times) {
    for (const auto& done : std::exchange(waiting_, {})) done(times);
  }

 private:
  std::vector<weir::callback<int>> waiting_;
};
// [/kept]

weir::task<> bell_tour() {
  doorbell bell;
  co_await weir::with_scope([&](weir::scope& s) -> weir::task<> {
    for (int i = 0; i < 2; ++i) {
      s.spawn([](doorbell* at) -> weir::task<> { std::printf("rang %d\n", co_await at->next()); },
              &bell);
    }
    co_await weir::yield();
    bell.ring(3);
  });
}

// [many]
struct keyboard {
  std::function<void(char)> on_key;
  void type(const char* keys) {
    while (*keys) on_key(*keys++);
  }
};
weir::task<> keys() {
  keyboard board;
  auto typed = weir::from_callback_many<char>({.capacity = 4}, [&](auto on_key) {
    board.on_key = on_key;  // never waits: a full buffer drops, and counts
  });
  board.type("weir is late");
  board.on_key = nullptr;  // the last copy goes: the end
  while (auto key = co_await typed.receive()) std::printf("%c", *key);
  std::printf(", dropped: %d\n", static_cast<int>(typed.stats().dropped));
}
// [/many]

// [c]
// A C library: a function and user data.
using on_line = void(const char* text, int number, void* user);
void read_line(on_line* function, void* user) { function("first", 1, user); }
void each_line(on_line* function, void* user) {
  for (int i = 1; i <= 3; ++i) function("line", i, user);
}
weir::task<> c_callbacks() {
  auto [text, number] = co_await weir::from_c_callback<on_line, std::string, int>(
      [](auto function, void* user) { read_line(function, user); });
  int sum = number;
  auto add_up = weir::make_c_callback<on_line>([&](const char*, int n) { sum += n; });
  each_line(add_up.function(), add_up.user());  // as long as add_up lives
  std::printf("%s, %d\n", text.c_str(), sum);
}
// [/c]

// [c_member]
// As a member: the library may call for as long as the reader lives.
class line_counter {
 public:
  int count() {
    each_line(heard_.function(), heard_.user());
    return lines_;
  }

 private:
  struct add_one {
    int* lines;
    void operator()(const char*, int) const { ++*lines; }
  };
  int lines_ = 0;
  weir::c_callback<on_line, add_one> heard_{add_one{&lines_}};
};
// [/c_member]

// [to]
weir::task<> for_others() {
  co_await weir::with_scope([](weir::scope&) -> weir::task<> {
    weir::to_callback(add(20, 3), [](weir::result<int> sum) { std::printf("sum %d\n", *sum); });
    co_return;
  });  // the scope waits for the task, and so for the call
}
// [/to]

weir::task<> tour() {
  co_await handlers();
  co_await from_a_thread();
  co_await errors();
  co_await shared();
  co_await cache_tour();
  co_await gather();
  co_await block_tour();
  co_await callbacks();
  co_await bell_tour();
  co_await keys();
  co_await c_callbacks();
  std::printf("%d lines\n", line_counter().count());
  co_await for_others();
}

}  // namespace

int main() { return weir::run(tour()); }
