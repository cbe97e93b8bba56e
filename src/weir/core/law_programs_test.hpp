// Programs made by lot, for laws that say that two ways to write a program are one. The hard idea:
// a program is made so that no schedule changes what it does (what runs beside something else has
// no effects of its own), so two are equal when they come to the same end, with the same effects,
// in the same virtual time. Each can be cancelled by itself, and from outside in the middle of a
// wait.
#pragma once

#include <weir/base/random.hpp>
#include <weir/core/cleanup.hpp>
#include <weir/core/combine.hpp>
#include <weir/core/sleep.hpp>
#include <weir/testing/test.hpp>

#include <cstdint>
#include <memory>
#include <source_location>
#include <string>
#include <string_view>
#include <utility>

namespace weir::laws {

inline constexpr duration forever = duration::seconds(3600);  // longer than all else together

/// What came of one run of a program.
struct run_state {
  time_point began = loop::current()->now();
  std::string effects;
  bool is_endless = false;  // it waited for something that never comes

  void note(char effect) {
    if (!is_endless) effects += effect;
  }
};
/// Thrown when forever is over, so that an endless program comes to an end.
struct time_is_over {};

/// Where a program runs. Cancelling itself is cancelling `around`.
struct fiber {
  run_state* run;
  scope* around;
};

inline task<int> endless(fiber f) {
  co_await sleep_until(f.run->began + forever);
  f.run->is_endless = true;
  throw time_is_over{};
}
inline task<int> cancelled(fiber f) {
  f.around->cancel("by itself");
  co_await checkpoint();
  co_return 0;
}
inline task<int> pure(int value) { co_return value; }
inline task<int> failed(errc code) {
  raise(error(code));
  co_return 0;
}
inline task<int> effect(fiber f, char name) {
  f.run->note(name);
  co_return 0;
}
inline task<int> both(task<int> first, task<int> second) {
  co_await std::move(first);
  co_return co_await std::move(second);
}

/// The only error of a group, as itself.
inline task<int> ungrouped(task<int> body) {
  try {
    co_return co_await std::move(body);
  } catch (const error_group& group) {
    group.raise_if_any();
  }
  co_return 0;
}

enum class node : std::uint8_t {
  value,
  error,
  cancel,
  endless,
  pause,
  turn,
  effect,  // without others inside
  then,
  attempt,
  guard,
  mask,
  scope,
  child,
  bound,
  race,
};

/// What may stand in a program.
struct ingredients {
  bool errors = true;
  bool cancels = true;
  bool endless = true;
  bool cancelled_from_outside = true;
};

struct program {
  node what = node::value;
  int number = 0;
  std::unique_ptr<program> first = nullptr;
  std::unique_ptr<program> second = nullptr;

  char name() const { return static_cast<char>('a' + number % 26); }
  /// "guard c (then (pause 3) (error))", for messages.
  std::string text() const {
    static constexpr std::string_view names[] = {"value",  "error", "cancel", "endless", "pause",
                                                 "turn",   "do",    "then",   "attempt", "guard",
                                                 "shield", "scope", "child",  "bound",   "race"};
    std::string out(names[static_cast<std::size_t>(what)]);
    if (what == node::effect || what == node::guard) (out += ' ') += name();
    if (what == node::value || what == node::pause) (out += ' ') += std::to_string(number);
    for (const program* part : {first.get(), second.get()}) {
      if (part) ((out += " (") += part->text()) += ')';
    }
    return out;
  }
};

inline program make_program(random_source& lot, const ingredients& with, int depth) {
  program made{.number = static_cast<int>(lot.below(26))};
  if (depth == 0 || lot.below(6) == 0) {
    do {
      made.what = static_cast<node>(lot.below(7));
    } while ((made.what == node::error && !with.errors) ||
             (made.what == node::cancel && !with.cancels) ||
             (made.what == node::endless && (!with.endless || lot.below(3) != 0)));
    return made;
  }
  made.what = lot.below(2) == 0 ? node::then : static_cast<node>(8 + lot.below(7));
  made.first = std::make_unique<program>(make_program(lot, with, depth - 1));
  if (made.what == node::then)
    made.second = std::make_unique<program>(make_program(lot, with, depth - 1));
  return made;
}

inline task<int> run(const program* p, fiber f);

inline task<int> run_in_scope(const program* p, fiber f) {
  co_return co_await with_scope([&](scope&) -> task<int> { co_return co_await run(p, f); });
}
inline task<int> run_as_child(const program* p, fiber f) {
  co_return co_await with_scope([&](scope& s) -> task<int> {
    auto child = s.spawn(&run, p, f);
    co_return co_await child;
  });
}
inline task<int> run_guarded(const program* p, fiber f, char name) {
  co_return co_await with_cleanups([&](cleanups& after) -> task<int> {
    after.defer_async([&]() -> task<> {
      f.run->note(name);
      co_await sleep(duration::milliseconds(1));
      f.run->note(name);
    });
    co_return co_await run(p, f);
  });
}
inline task<int> run_attempt(const program* p, fiber f) {
  try {
    co_return co_await run(p, f);
  } catch (const std::exception&) {
    f.run->note('!');
  }
  co_return 0;
}

inline task<int> run(const program* p, fiber f) {
  switch (p->what) {
    case node::value:
      break;
    case node::error:
      raise(error(p->number % 2 == 0 ? errc::broken : errc::not_found));
    case node::cancel:
      co_await cancelled(f);
      break;
    case node::endless:
      co_await endless(f);
      break;
    case node::pause:
      co_await sleep(duration::milliseconds(p->number));
      break;
    case node::turn:
      co_await yield();
      break;
    case node::effect:
      f.run->note(p->name());
      break;
    case node::then:
      co_await run(p->first.get(), f);
      co_return co_await run(p->second.get(), f);
    case node::attempt:
      co_return co_await run_attempt(p->first.get(), f);
    case node::guard:
      co_return co_await run_guarded(p->first.get(), f, p->name());
    case node::mask:
      co_return co_await shield(run(p->first.get(), f));
    case node::scope:
      co_return co_await ungrouped(run_in_scope(p->first.get(), f));
    case node::child:
      co_return co_await ungrouped(run_as_child(p->first.get(), f));
    case node::bound:
      co_return co_await with_timeout(2 * forever, run(p->first.get(), f));
    case node::race:
      co_return co_await ungrouped(when_any(run(p->first.get(), f), endless(f)));
  }
  co_return p->number;
}

/// The programs that a law speaks of: three of any kind, and two finalisers, which end by
/// themselves and without errors.
struct sample {
  program parts[3];
  program finalisers[2];
  duration cancelled_after = duration::max();  // from outside

  sample(random_source& lot, const ingredients& with) {
    for (program& one : parts) one = make_program(lot, with, 3);
    const ingredients harmless{.errors = false, .cancels = with.cancels, .endless = false};
    for (program& one : finalisers) one = make_program(lot, harmless, 2);
    // Between two milliseconds: in no schedule at the same moment as a program's own waits.
    if (with.cancelled_from_outside && lot.below(3) == 0)
      cancelled_after = duration::microseconds(500 + 1000 * lot.between(0, 20));
  }
  WEIR_CORO_WRAPPER task<int> a(fiber f) const { return run(&parts[0], f); }
  WEIR_CORO_WRAPPER task<int> b(fiber f) const { return run(&parts[1], f); }
  WEIR_CORO_WRAPPER task<int> c(fiber f) const { return run(&parts[2], f); }
  WEIR_CORO_WRAPPER task<int> last(fiber f) const { return run(&finalisers[0], f); }
  WEIR_CORO_WRAPPER task<int> very_last(fiber f) const { return run(&finalisers[1], f); }

  std::string text() const {
    std::string out = "a = " + parts[0].text() + "\nb = " + parts[1].text() +
                      "\nc = " + parts[2].text() + "\nlast = " + finalisers[0].text() +
                      "\nvery last = " + finalisers[1].text();
    if (cancelled_after != duration::max())
      out += "\ncancelled after " + std::to_string(cancelled_after.ns / 1000) + " us";
    return out;
  }
};

/// One side of a law.
using side = task<int> (*)(fiber f, const sample& s);

/// Where the two sides stand: in a scope that can be cancelled, or behind a shield in one.
enum class root : std::uint8_t { open, shielded };

/// "value 3, did ab in 5000 us", or error broken, cancelled, endless. Whether a program that ended
/// had been cancelled is looked at as its surroundings do: at the next wait.
inline task<std::string> ending_of(side of, const sample& s, root at = root::open) {
  run_state state;
  std::string end = "cancelled";
  co_await with_scope({.timeout = s.cancelled_after}, [&](scope& around) -> task<> {
    const fiber f{.run = &state, .around = &around};
    std::string seen;
    try {
      seen = "value " +
             std::to_string(at == root::shielded ? co_await shield(of(f, s)) : co_await of(f, s));
    } catch (const exception& e) {
      seen = "error " + std::string(name(e.reason().code()));
    } catch (const error_group& group) {
      seen = std::to_string(group.size()) + " errors";
    } catch (const time_is_over&) {
      seen = "endless";
    }
    if (at == root::open) co_await checkpoint();
    end = seen;
  });
  if (state.is_endless) co_return "endless, did " + state.effects;
  const std::int64_t took = (loop::current()->now() - state.began).ns;
  co_return end + ", did " + state.effects + " in " + std::to_string(took / 1000) + " us";
}

/// Fails the test unless both sides come to the same for programs made by lot. The lot is that of
/// the schedule, so a failure is replayed with it.
inline task<> law(side left, side right, ingredients with = {}, root at = root::open,
                  std::source_location place = std::source_location::current()) {
  constexpr int samples = 6;  // of each schedule
  random_source lot(loop::current()->io().random());
  for (int i = 0; i < samples; ++i) {
    const sample s(lot, with);
    const std::string one = co_await ending_of(left, s, at);
    const std::string other = co_await ending_of(right, s, at);
    if (one == other) continue;
    ADD_FAILURE_AT(place.file_name(), static_cast<int>(place.line()))
        << "left:  " << one << "\nright: " << other << "\n"
        << s.text();
    co_return;
  }
}

}  // namespace weir::laws
