// One child process of a virtual machine: what its kernel keeps of it.
#pragma once

#include <weir/core/loop.hpp>
#include <weir/sim/explored_schedule.hpp>
#include <weir/sim/virtual_driver.hpp>
#include <weir/sim/virtual_processes.hpp>
#include <weir/sim/virtual_run.hpp>

#include <cstdint>
#include <memory>
#include <string>

namespace weir {

struct virtual_processes::child {
  child(virtual_processes& all, network_host& host, int number)
      : part(host, number), self(all, number) {}

  detail::process_part part;
  std::shared_ptr<virtual_program> program;
  virtual_outcome outcome;
  std::string name;
  int parent = init;
  int group = 0;
  int code = 0;  // that main() gave, or exit()
  bool has_exited = false;
  io_handle end = -1;  // its closing shows the end
  exit_status status;
  int death = 0;  // the signal that ends it
  time_point dies_at = time_point::never();
  std::uint32_t last_turns = 0;    // after dies_at
  std::uint64_t held_signals = 0;  // while it is stopped; a bit per number
  bool is_stopped = false;
  bool dies_at_once = false;  // not after some turns more
  bool has_ended = false;
  bool is_reaped = false;

  std::unique_ptr<explored_schedule> schedule;
  std::unique_ptr<virtual_driver> driver;
  virtual_process self;      // its streams close through the driver
  std::unique_ptr<loop> on;  // null when its frames are gone
};

}  // namespace weir
