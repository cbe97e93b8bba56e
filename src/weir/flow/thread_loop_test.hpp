// A loop on a thread of its own, for tests between loops.
#pragma once

#include <weir/core/loop.hpp>
#include <weir/core/scope.hpp>
#include <weir/sim/virtual_driver.hpp>

#include <thread>

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

}  // namespace weir
