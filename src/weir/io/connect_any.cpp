#include <weir/io/connect_any.hpp>

#include <weir/core/select.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>

#include <algorithm>
#include <cstddef>
#include <exception>
#include <optional>
#include <utility>

namespace weir {

namespace {

struct attempts {
  scope* around = nullptr;
  std::optional<socket> winner;
  std::exception_ptr failure;  // of the try that failed last
};

task<> attempt(attempts* all, address to) {
  std::optional<socket> made;
  try {
    made = co_await connect(to);
  } catch (...) {
    all->failure = std::current_exception();
  }
  if (!made || all->winner) co_return;
  all->winner = std::move(made);
  all->around->cancel("another address has answered");
}

task<> begin_one_after_the_other(attempts* all, const std::vector<address>* candidates,
                                 duration attempt_delay) {
  for (std::size_t i = 0; i < candidates->size(); ++i) {
    const spawned<void> newest = all->around->spawn(attempt, all, (*candidates)[i]);
    if (i + 1 < candidates->size()) co_await select(newest, sleep(attempt_delay));
  }
}

}  // namespace

std::vector<address> in_turn_by_family(std::vector<address> all) {
  if (all.empty()) return all;
  std::vector<address> same;
  std::vector<address> other;
  for (const address& one : all) {
    (one.family() == all.front().family() ? same : other).push_back(one);
  }
  all.clear();
  for (std::size_t i = 0; i < std::max(same.size(), other.size()); ++i) {
    if (i < same.size()) all.push_back(same[i]);
    if (i < other.size()) all.push_back(other[i]);
  }
  return all;
}

task<socket> connect_any(std::vector<address> candidates, duration attempt_delay) {
  if (candidates.empty())
    raise(error(errc::invalid_argument, "connect_any needs an address to connect to"));
  if (candidates.size() == 1) co_return co_await connect(candidates.front());
  attempts all;
  co_await with_scope({.name = "connect"}, [&](scope& s) -> task<> {
    all.around = &s;
    co_await begin_one_after_the_other(&all, &candidates, attempt_delay);
    co_await s.join();  // here, so that an outer cancellation ends this body, too
  });
  if (!all.winner) std::rethrow_exception(all.failure);
  co_return std::move(*all.winner);
}

}  // namespace weir
