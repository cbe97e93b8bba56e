// The shapes of bugs on one thread that Node.fz (Davis and others, EuroSys 2017) found in Node
// programs: two thirds are atomicity violations, that is, something is read, awaited past, and
// believed; the rest believe in an order that nobody promised.
#include "corpus.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace weir::corpora {

namespace in_event_loop_shapes {
namespace {

// A database or a file: each operation is one await.
struct store {
  std::map<std::string, int> rows;
  task<std::optional<int>> get(std::string key) {
    co_await checkpoint();
    const auto found = rows.find(key);
    if (found == rows.end()) co_return std::nullopt;
    co_return found->second;
  }
  task<> put(std::string key, int value) {
    co_await checkpoint();
    rows[key] = value;
  }
  task<bool> insert(std::string key, int value) {
    co_await checkpoint();
    co_return rows.emplace(key, value).second;
  }
  task<> remove(std::string key) {
    co_await checkpoint();
    rows.erase(key);
  }
};

task<> check_then_create() {
  store folders;
  const auto make = [&]() -> task<> {
    if (co_await folders.get("a")) co_return;
    if (!co_await folders.insert("a", 1)) wrong("the folder exists already");
  };
  co_await together({make, make});
}

task<> read_modify_write() {
  store counters;
  const auto count = [&]() -> task<> {
    const int before = (co_await counters.get("visits")).value_or(0);
    co_await counters.put("visits", before + 1);
  };
  co_await together({count, count});
  if (counters.rows["visits"] != 2) wrong("a visit is lost");
}

task<> stale_connection() {
  bool is_open = true;
  int sent_to_closed = 0;
  const auto request = [&]() -> task<> {
    if (!is_open) co_return;  // a pooled connection looks alive
    co_await checkpoint();
    sent_to_closed += is_open ? 0 : 1;
  };
  co_await together({request, [&]() -> task<> {
                       co_await checkpoint();
                       is_open = false;
                     }});
  if (sent_to_closed != 0) wrong("a request went to a closed connection");
}

task<> double_callback() {
  int called = 0;
  bool is_done = false;
  const auto finish = [&]() -> task<> {
    if (is_done) co_return;
    co_await checkpoint();
    is_done = true;
    ++called;
  };
  co_await together({finish, finish});  // the answer and the time-out
  if (called != 1) wrong("the callback was called twice");
}

task<> use_after_close() {
  store file;
  co_await file.put("log", 1);
  co_await together({[&]() -> task<> {
                       co_await checkpoint();
                       if (!co_await file.get("log")) wrong("written to a closed file");
                     },
                     [&]() -> task<> {
                       co_await checkpoint();
                       co_await checkpoint();
                       co_await checkpoint();
                       co_await file.remove("log");
                     }});
}

task<> answers_in_order_of_requests() {
  std::vector<int> answers;
  const auto ask = [&](int number) -> task<> {
    co_await checkpoint();
    answers.push_back(number);
  };
  co_await together({[&]() -> task<> { co_await ask(1); }, [&]() -> task<> { co_await ask(2); },
                     [&]() -> task<> { co_await ask(3); }});
  if (!std::is_sorted(answers.begin(), answers.end())) wrong("answers are not in order");
}

task<> listener_too_late() {
  condition ready("ready");
  bool is_heard = false;
  co_await together({[&]() -> task<> {
                       co_await checkpoint();
                       co_await ready.wait();
                       is_heard = true;
                     },
                     [&]() -> task<> {
                       co_await checkpoint();
                       co_await yield();
                       ready.notify_all();
                     }});
}

task<> used_before_initialised() {
  std::optional<int> configuration;
  co_await together({[&]() -> task<> {
                       co_await checkpoint();
                       configuration = 7;
                     },
                     [&]() -> task<> {
                       co_await checkpoint();
                       co_await checkpoint();
                       if (!configuration) wrong("the configuration is not loaded");
                     }});
}

task<> list_changes_while_walked() {
  std::vector<int> clients{1, 2, 3};
  const auto broadcast = [&]() -> task<> {
    const std::size_t count = clients.size();
    for (std::size_t i = 0; i < count; ++i) {
      if (i >= clients.size()) wrong("a client that is gone is written to");
      co_await checkpoint();
    }
  };
  co_await together({broadcast, [&]() -> task<> {
                       co_await checkpoint();
                       clients.pop_back();
                     }});
}

task<> last_writer_wins() {
  store cache;
  const auto refresh = [&](int version) -> task<> {
    co_await checkpoint();  // asks the origin
    co_await cache.put("page", version);
  };
  co_await together(
      {[&]() -> task<> { co_await refresh(1); }, [&]() -> task<> { co_await refresh(2); }});
  if (cache.rows["page"] != 2) wrong("an older version has replaced a newer one");
}

task<> job_taken_twice() {
  store jobs;
  co_await jobs.put("state", 0);
  int runs = 0;
  const auto worker = [&]() -> task<> {
    if (co_await jobs.get("state") != 0) co_return;
    co_await jobs.put("state", 1);
    ++runs;
  };
  co_await together({worker, worker});
  if (runs != 1) wrong("a job ran twice");
}

task<> count_of_pending() {
  int pending = 0;
  bool is_finished = false;
  int late = 0;
  const auto load = [&]() -> task<> {
    ++pending;
    co_await checkpoint();
    late += is_finished ? 1 : 0;
    if (--pending == 0) is_finished = true;  // "the last one is back", but more may be to come
  };
  co_await together({load, load, load});
  if (late != 0) wrong("finished before the last one had begun");
}

constexpr kernel kernels[] = {
    {"check, then create", "atomicity", &check_then_create},
    {"read, modify, write", "atomicity", &read_modify_write},
    {"stale connection", "atomicity", &stale_connection},
    {"double callback", "atomicity", &double_callback},
    {"job taken twice", "atomicity", &job_taken_twice},
    {"list changes while walked", "atomicity", &list_changes_while_walked},
    {"count of pending", "atomicity", &count_of_pending},
    {"last writer wins", "atomicity", &last_writer_wins},
    {"use after close", "order", &use_after_close},
    {"answers in order of requests", "order", &answers_in_order_of_requests},
    {"listener too late", "order", &listener_too_late},
    {"used before initialised", "order", &used_before_initialised},
};

}  // namespace
}  // namespace in_event_loop_shapes

std::span<const kernel> event_loop_shapes() { return in_event_loop_shapes::kernels; }

}  // namespace weir::corpora
