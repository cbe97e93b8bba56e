// Mutants: weir with one defect planted (base/defect.hpp), and what it takes to notice it. They
// measure the simulator, not the unit tests: a mutant that lives is a promise that nobody watches.
#pragma once

#include <weir/base/time.hpp>

#include <cstdint>
#include <string>

namespace weir::drill {

/// Who has to notice a defect.
enum class killer : std::uint8_t {
  drill,    // seeds of the simulated server: run_drill()
  program,  // a small explored program, schedule after schedule
};

/// A defect of the list.
struct mutant {
  const char* name;  // as is_planted() has it: "journal: acknowledges before the sync"
  const char* what;  // the damage, in one clause: "a power cut takes confirmed messages"
  killer how = killer::drill;
};

/// How long a mutant may live.
struct mutant_budget {
  std::uint64_t tries_max = 1'000;            // seeds or schedules
  duration cpu_max = duration::seconds(300);  // of all of them
};

/// What became of a mutant.
struct mutant_verdict {
  bool is_killed = false;
  std::string by = {};      // the broken promise or failed check, in one line
  std::uint64_t tries = 0;  // seeds or schedules, the last one included
  duration cpu = {};
};

}  // namespace weir::drill
