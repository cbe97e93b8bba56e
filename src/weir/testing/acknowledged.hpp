// The end check of tests with queues: a message that was taken and never answered is work that a
// worker has forgotten. The broker itself only sees a lease that runs out, and delivers again. A
// run in a virtual world checks it by itself when the broker goes. Rejected: a check that each test
// asks for, since whoever forgets an answer forgets that, too.
#pragma once

#include <weir/base/program_here.hpp>
#include <weir/broker/broker.hpp>

#include <source_location>

namespace weir::testing {

/// In a virtual run: its brokers may go while messages are on lease, because they are opened again,
/// or whoever took them outlives the broker, as the clients of a server do, or was to forget them.
void may_leave_messages() noexcept;

/// Fails the test if messages of a queue are on lease now, and says how many.
void expect_acknowledged(const broker& of,
                         std::source_location place = std::source_location::current());

/// Checks expect_acknowledged() where it ends: for what has to be answered before the broker goes,
/// and outside of virtual runs. Declared after the broker.
///
/// Cancel:  checked then, too.
/// Order:   before what was declared before it is destroyed.
/// Bound:   one look at each queue.
/// Errors:  they fail the test.
/// Threads: the broker's loop.
class [[nodiscard]] acknowledged_at_end {
 public:
  explicit acknowledged_at_end(const broker& of,
                               std::source_location place = std::source_location::current())
      : of_(of), place_(place) {}
  acknowledged_at_end(const acknowledged_at_end&) = delete;
  acknowledged_at_end& operator=(const acknowledged_at_end&) = delete;
  ~acknowledged_at_end() {
    const weir::detail::world_runs checking;  // the check needs memory, whatever the program has
    expect_acknowledged(of_, place_);
  }

 private:
  const broker& of_;
  std::source_location place_;
};

}  // namespace weir::testing
