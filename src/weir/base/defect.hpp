// Defects on purpose: a place in the product that does the wrong thing while a test says so. They
// measure what the tests and the simulator find (`weir sim mutants`). The hard idea: one branch on
// a pointer that is null, and only where WEIR_DEFECTS is defined, as the dev preset has it;
// elsewhere is_planted() is a constant and the wrong branch is not compiled at all.
#pragma once

#include <string_view>

namespace weir {

#ifdef WEIR_DEFECTS
inline constexpr bool defects_can_be_planted = true;
namespace detail {
inline constinit const char* planted = nullptr;
}
/// True while a `planted_defect` with this name lives: `if (!is_planted("journal: no sync")) ...`.
/// `name` is a literal that stands at one place of the program.
inline bool is_planted(std::string_view name) noexcept {
  return detail::planted && name == detail::planted;
}
#else
inline constexpr bool defects_can_be_planted = false;
constexpr bool is_planted(std::string_view /*name*/) noexcept { return false; }
#endif

/// Plants a defect until its own end. Nothing happens where defects can't be planted.
///
/// Cancel:  no waits.
/// Order:   one at a time: the last one counts, and its end plants the one before again.
/// Bound:   one pointer.
/// Errors:  none. A name that no place asks for is planted in vain.
/// Threads: begins and ends while no other thread runs code that asks.
class planted_defect {
 public:
#ifdef WEIR_DEFECTS
  /// `name` must outlive the object.
  explicit planted_defect(const char* name) noexcept : before_(detail::planted) {
    detail::planted = name;
  }
  ~planted_defect() { detail::planted = before_; }

 private:
  const char* before_;

 public:
#else
  explicit planted_defect(const char* /*name*/) noexcept {}
  ~planted_defect() = default;
#endif
  planted_defect(const planted_defect&) = delete;
  planted_defect& operator=(const planted_defect&) = delete;
};

}  // namespace weir
