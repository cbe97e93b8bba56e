// Two words that product code says to a simulator: maybe("name") asks whether something rare should
// happen now, sometimes(condition, "name") tells that something should be seen in some run. The
// hard idea: outside of a simulation both are one look at a thread-local pointer that is null, so
// they may stay in what ships.
#pragma once

#include <source_location>

namespace weir {

/// Who hears probes on a thread.
///
/// Cancel:  no waits.
/// Order:   as the program runs.
/// Bound:   one listener a thread.
/// Errors:  none; must not throw.
/// Threads: the one that it was installed on.
class probe_listener {
 public:
  virtual ~probe_listener() = default;
  virtual bool maybe(const char* name, std::source_location place) noexcept = 0;
  virtual void sometimes(bool condition, const char* name, std::source_location place) noexcept = 0;
};

namespace detail {
inline constinit thread_local probe_listener* probes = nullptr;
}

/// Installs a listener on this thread and gives the one before; null: none.
inline probe_listener* set_probe_listener(probe_listener* listener) noexcept {
  probe_listener* const before = detail::probes;
  detail::probes = listener;
  return before;
}

/// False in production. In a simulation: true now and then, for some names in some runs, so that
/// rare branches are taken: `if (full || maybe("queue is full")) ...`. `name` is a literal; weir's
/// own begin with "weir: ".
inline bool maybe(const char* name,
                  std::source_location place = std::source_location::current()) noexcept {
  return detail::probes && detail::probes->maybe(name, place);
}

/// Says that `condition` should be true in some run of a campaign: one that never meets it fails,
/// for it has not tested what it was meant to. Gives `condition`.
inline bool sometimes(bool condition, const char* name,
                      std::source_location place = std::source_location::current()) noexcept {
  if (detail::probes) detail::probes->sometimes(condition, name, place);
  return condition;
}

}  // namespace weir
