// The defects of the runtime (core, flow, io, wire), and the small programs that must notice them:
// each is what a user would write, and checks what weir promises. The hard idea: a program is not
// made for one defect. It passes under every schedule as long as weir is right, so whatever breaks
// it is a finding.
#pragma once

#include <weir/core/task.hpp>
#include <weir/drill/mutant.hpp>

#include <cstdint>
#include <span>

namespace weir::drill {

/// A small program for the explorer (sim/explore.hpp). It fails where one of its expectations does,
/// where a task waits for ever, and where it leaves something behind.
struct mutant_program {
  const char* name;  // a sentence that is true as long as weir is right
  task<> (*body)();
};

/// A defect of the runtime and the program that must notice it.
struct runtime_mutant {
  const char* defect;  // as is_planted() has it
  const char* what;    // the damage, in one clause
  const mutant_program* killed_by;
};

/// Hears of each try before it is made, so that a defect which ends the process has a number.
///
/// Cancel:  no waits.
/// Order:   from 1.
/// Bound:   none.
/// Errors:  none.
/// Threads: one.
class try_listener {
 public:
  virtual void trying(std::uint64_t nth) = 0;

 protected:
  ~try_listener() = default;
};

/// All of them, by what their programs are about.
std::span<const runtime_mutant> runtime_mutants();

/// Plants the defect and runs its program: in order, then under one schedule after the other, until
/// it fails or the budget is spent. A defect may end the process.
mutant_verdict try_runtime_mutant(const runtime_mutant& one, const mutant_budget& budget = {},
                                  try_listener* listener = nullptr);
/// The same with no more planted than the caller has: a control.
mutant_verdict try_program(const mutant_program& one, const mutant_budget& budget = {},
                           try_listener* listener = nullptr);

}  // namespace weir::drill
