// Loops on threads of their own, for tests between loops.
#pragma once

#include <weir/core/loop.hpp>
#include <weir/core/scope.hpp>
#include <weir/sim/virtual_driver.hpp>

#include <thread>
#include <vector>

namespace weir {

/// Runs a task to its end on a loop of a thread of its own.
template <class F>
std::thread run_on_thread(F body) {
  return std::thread([body]() mutable {
    virtual_driver driver(virtual_options{.threads = true});
    loop on(driver);
    on.root().spawn(body);
    on.run();
  });
}

/// Runs the same body on loops of two threads.
template <class F>
void on_two_loops(F body) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t)
    threads.push_back(run_on_thread([&body, t]() -> task<> { co_await body(t); }));
  for (std::thread& one : threads) one.join();
}

}  // namespace weir
