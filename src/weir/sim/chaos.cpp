#include <weir/sim/chaos.hpp>

#include <weir/base/probe.hpp>

#include <errno.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace weir {

namespace {

constexpr std::string_view names[chaos_kinds] = {
    "kill",       "power",      "pause",     "clock",        "partition",
    "clog",       "reset",      "loss",      "slow_network", "short_transfers",
    "disk_error", "sync_error", "disk_full", "slow_disk",    "memory",
};
// Kinds that came later draw after all others, so that seeds from before still draw what they drew.
constexpr std::size_t first_kinds = static_cast<std::size_t>(chaos_kind::memory);

constexpr std::uint32_t weights[] = {1, 3, 10, 30, 100};  // two orders of magnitude
constexpr duration means[] = {duration::seconds(30), duration::seconds(120), duration::seconds(10),
                              duration::seconds(3)};

constexpr duration lurk_step = duration::microseconds(100);
constexpr duration lurk_max = duration::seconds(5);

std::string in_seconds(duration length) {
  return fmt::format("{:.3f} s", static_cast<double>(length.ns) / 1e9);
}

}  // namespace

std::string_view name(chaos_kind kind) noexcept { return names[static_cast<std::size_t>(kind)]; }

std::optional<chaos_set> chaos_set::parse(std::string_view text) {
  chaos_set made;
  if (text.starts_with('-')) made = all();  // what is only left out is left out of all
  for (bool is_last = false; !is_last;) {
    const std::size_t end = text.find(',');
    is_last = end == std::string_view::npos;
    std::string_view one = text.substr(0, end);
    if (!is_last) text.remove_prefix(end + 1);
    if (one == "none") continue;
    if (one == "all") {
      made = all();
      continue;
    }
    const bool is_out = one.starts_with('-');
    if (is_out) one.remove_prefix(1);
    const auto* found = std::ranges::find(names, one);
    if (found == std::end(names)) return std::nullopt;
    made.set(static_cast<chaos_kind>(found - names), !is_out);
  }
  return made;
}

std::string chaos_set::text() const {
  if (*this == all()) return "all";
  std::string out;
  for (std::size_t i = 0; i < chaos_kinds; ++i) {
    if (!has(static_cast<chaos_kind>(i))) continue;
    if (!out.empty()) out += ',';
    out += names[i];
  }
  return out.empty() ? "none" : out;
}

chaos::chaos(virtual_nodes& nodes, chaos_set allowed, chaos_host& host)
    : nodes_(nodes), host_(host), choices_(nodes.decisions()) {
  const auto draw_weight = [&](std::size_t i) {
    // Drawn in any case, so that a kind that is not allowed does not move what is drawn for others.
    const bool exists = choices_.below(choice_kind::knob, 2) == 1;
    const std::uint32_t weight = weights[choices_.below(choice_kind::knob, std::size(weights))];
    if (!exists || !allowed.has(static_cast<chaos_kind>(i))) return;
    weights_[i] = weight;
    weights_sum_ += weight;
  };
  for (std::size_t i = 0; i < first_kinds; ++i) draw_weight(i);
  mean_ = means[choices_.below(choice_kind::knob, std::size(means))];
  for (std::size_t i = first_kinds; i < chaos_kinds; ++i) draw_weight(i);
  if (weights_sum_ != 0) draw_next();
}

std::string chaos::swarm() const {
  std::string out;
  for (std::size_t i = 0; i < chaos_kinds; ++i) {
    if (weights_[i] == 0) continue;
    out += fmt::format("{}{} {}", out.empty() ? "" : ", ", names[i], weights_[i]);
  }
  return out.empty() ? "no faults" : fmt::format("{}; about every {}", out, in_seconds(mean_));
}

duration chaos::draw(duration min, duration max) {
  // By orders of magnitude: short faults are as likely as long ones.
  duration top = max;
  while (top / 4 > min && choices_.below(choice_kind::fault, 2) == 0) top = top / 4;
  return duration(choices_.between(choice_kind::fault, min.ns, std::max(min.ns, top.ns)));
}

void chaos::draw_next() {
  next_ = nodes_.now() + duration(choices_.between(choice_kind::fault, mean_.ns / 4, mean_.ns * 2));
}

time_point chaos::next_at() const noexcept {
  const time_point next = reliefs_.empty() ? next_ : std::min(next_, reliefs_.begin()->first);
  return lurking_.on ? std::min(next, nodes_.now() + lurk_step) : next;
}

bool chaos::is_ill(const virtual_node& node) const noexcept {
  const auto found = ill_.find(node.host());
  return found != ill_.end() && found->second;
}

// An illness that is still there counts for the next start, too.
void chaos::forget_illness(const virtual_node& node) noexcept {
  const bool is_ill = std::ranges::any_of(reliefs_, [&](const auto& one) {
    return one.second.on == &node && one.second.kind >= chaos_kind::disk_error;
  });
  ill_[node.host()] = is_ill;
}

bool chaos::run_for(duration length) {
  const time_point until = nodes_.now() + length;
  while (nodes_.now() < until) {
    if (!nodes_.run_until(std::min(until, std::max(next_at(), nodes_.now())))) return false;
    act();
  }
  return true;
}

std::optional<chaos_kind> chaos::draw_kind() {
  const std::uint64_t drawn = choices_.below(choice_kind::fault, weights_sum_ + 1);
  if (drawn == 0) return std::nullopt;  // plain: nothing
  std::uint64_t left = drawn - 1;
  for (std::size_t i = 0; i < chaos_kinds; ++i) {
    if (left < weights_[i]) return static_cast<chaos_kind>(i);
    left -= weights_[i];
  }
  return std::nullopt;
}

void chaos::act() {
  while (!reliefs_.empty() && reliefs_.begin()->first <= nodes_.now()) {
    const relief what = reliefs_.begin()->second;
    reliefs_.erase(reliefs_.begin());
    relieve(what);
  }
  if (lurking_.on) pounce();
  if (next_ > nodes_.now()) return;
  draw_next();
  if (const auto kind = draw_kind()) strike(*kind);
}

void chaos::strike(chaos_kind kind) {
  if (kind >= chaos_kind::partition && kind <= chaos_kind::slow_network) {
    return strike_network(kind);
  }
  virtual_node& on = nodes_.at(choices_.below(choice_kind::fault, nodes_.count()));
  if (kind < chaos_kind::partition) return strike_machine(kind, on);
  if (kind == chaos_kind::memory) {
    if (memory_watch* const memory = host_.memory_of(on)) strike_memory(on, *memory);
    return;
  }
  if (host_.has_disk(on)) strike_disk(kind, on);
}

void chaos::strike_machine(chaos_kind kind, virtual_node& on) {
  if (kind == chaos_kind::clock) return strike_clock(on);
  if (!on.is_running() || on.is_paused()) return;
  const bool ends = kind == chaos_kind::kill || kind == chaos_kind::power;
  if (ends && host_.has_disk(on) && choices_.below(choice_kind::fault, 2) == 1) {
    return lurk(lure::half_write, kind, on, lurk_max);
  }
  end_program(kind, on);
}

void chaos::lurk(lure what, chaos_kind kind, virtual_node& on, duration at_most) {
  lurks_for_ = what;
  lurking_ = {kind, &on};
  lurks_until_ = nodes_.now() + at_most;
  lurk_faults_ = on.world().faults_struck();
}

// Ends at times by lot nearly never strike while a group is on its way to the disk.
void chaos::pounce() {
  virtual_node& on = *lurking_.on;
  const bool can_strike = on.is_running() && !on.is_paused();
  bool has_come = false;
  switch (lurks_for_) {
    case lure::half_write:
      has_come = on.world().half_written() != 0;
      break;
    case lure::failed_sync:
      has_come = on.world().faults_struck() != lurk_faults_;
      break;
    case lure::young_program:
      has_come = nodes_.now() >= lurks_until_;
      break;
  }
  if (can_strike && !has_come && nodes_.now() < lurks_until_) return;
  const chaos_kind kind = lurking_.kind;
  lurking_ = {};
  if (!can_strike) return;
  // A program that does as it should has ended by then, so this is for those that go on.
  if (lurks_for_ == lure::failed_sync && !has_come) return;
  if (lurks_for_ == lure::half_write) {
    sometimes(has_come, "a program ends in the middle of a durable write");
  }
  end_program(kind, on);
}

void chaos::end_program(chaos_kind kind, virtual_node& on) {
  ++strikes_[static_cast<std::size_t>(kind)];
  switch (kind) {
    case chaos_kind::kill:
      host_.struck(kind, &on, "killed");
      on.kill();
      return later(draw(duration::milliseconds(100), duration::seconds(30)),
                   {kind, &on, nullptr, on.starts()});
    case chaos_kind::power:
      host_.struck(kind, &on, "power cut");
      on.cut_power(crash_loss::some);
      return later(draw(duration::seconds(1), duration::seconds(60)),
                   {kind, &on, nullptr, on.starts()});
    default:
      host_.struck(kind, &on, "paused");
      on.pause();
      return later(draw(duration::milliseconds(100), duration::seconds(60)), {kind, &on});
  }
}

void chaos::strike_clock(virtual_node& on) {
  ++strikes_[static_cast<std::size_t>(chaos_kind::clock)];
  if (choices_.below(choice_kind::fault, 2) == 0) {
    const duration by = draw(duration::milliseconds(1), duration::seconds(600));
    const bool is_back = choices_.below(choice_kind::fault, 2) == 1;
    host_.struck(chaos_kind::clock, &on,
                 fmt::format("clock set by {}{}", is_back ? "-" : "+", in_seconds(by)));
    return on.clock().step_wall(is_back ? -by : by);
  }
  const auto drift = static_cast<clock_drift>(choices_.below(choice_kind::fault, 4));
  const std::int64_t ppm = choices_.between(choice_kind::fault, -5'000, 5'000);
  host_.struck(chaos_kind::clock, &on, fmt::format("clock drifts, {} ppm", ppm));
  on.clock().set({.drift = drift, .ppm = ppm}, nodes_.now());
}

template <class F>
void chaos::each_link(F change) {
  for (std::size_t a = 0; a < nodes_.count(); ++a) {
    for (std::size_t b = 0; b < nodes_.count(); ++b) {
      if (a != b) change(nodes_.links().between(nodes_.at(a).host(), nodes_.at(b).host()));
    }
  }
}

void chaos::cut(virtual_node& from, virtual_node& to, duration length) {
  nodes_.links().between(from.host(), to.host()).is_cut = true;
  later(length, {chaos_kind::partition, &from, &to});
}

void chaos::strike_network(chaos_kind kind) {
  if (nodes_.count() < 2) return;
  ++strikes_[static_cast<std::size_t>(kind)];
  const std::size_t a = choices_.below(choice_kind::fault, nodes_.count());
  const std::size_t b =
      (a + 1 + choices_.below(choice_kind::fault, nodes_.count() - 1)) % nodes_.count();
  virtual_node& from = nodes_.at(a);
  virtual_node& to = nodes_.at(b);
  const duration length = draw(duration::milliseconds(100), duration::seconds(120));
  const std::string text = in_seconds(length);
  switch (kind) {
    case chaos_kind::partition:
      switch (choices_.below(choice_kind::fault, 3)) {
        case 0:
          host_.struck(kind, &from, fmt::format("can't reach {} for {}", to.name(), text));
          return cut(from, to, length);
        case 1:
          host_.struck(kind, &from, fmt::format("is parted from {} for {}", to.name(), text));
          cut(from, to, length);
          return cut(to, from, length);
        default:
          host_.struck(kind, &from, fmt::format("is alone for {}", text));
          for (std::size_t i = 0; i < nodes_.count(); ++i) {
            if (i == a) continue;
            cut(from, nodes_.at(i), length);
            cut(nodes_.at(i), from, length);
          }
          return;
      }
    case chaos_kind::clog:
      host_.struck(kind, &from, fmt::format("to {} is clogged for {}", to.name(), text));
      nodes_.links().between(from.host(), to.host()).clogged_until = nodes_.now() + length;
      return;
    case chaos_kind::reset:
      host_.struck(kind, nullptr, fmt::format("connections are reset for {}", text));
      each_link([](link_conditions& one) { one.reset_chance = 0.05; });
      break;
    case chaos_kind::loss:
      host_.struck(kind, nullptr, fmt::format("packets are lost for {}", text));
      each_link([](link_conditions& one) {
        one.loss_chance = 0.2;
        one.double_chance = 0.1;
      });
      break;
    default:
      host_.struck(kind, nullptr, fmt::format("the network is slow for {}", text));
      each_link([](link_conditions& one) {
        one.slow_chance = 0.1;
        one.slow_max = duration::seconds(5);
      });
      break;
  }
  later(length, {kind});
}

void chaos::strike_disk(chaos_kind kind, virtual_node& on) {
  ++strikes_[static_cast<std::size_t>(kind)];
  const duration length = draw(duration::milliseconds(100), duration::seconds(60));
  const std::string text = in_seconds(length);
  virtual_world& world = on.world();
  constexpr std::uint64_t room_when_full = 4'096;
  switch (kind) {
    case chaos_kind::short_transfers:
      host_.struck(kind, &on, fmt::format("short transfers for {}", text));
      world.set_short_chance(0.5);
      break;
    case chaos_kind::disk_error:
      host_.struck(kind, &on, fmt::format("disk errors for {}", text));
      world.set_illness({.read_error = 0.05, .write_error = 0.05});
      break;
    case chaos_kind::sync_error:
      host_.struck(kind, &on, "the next sync fails");
      world.add_fault({.op = io_op::sync, .code = EIO});
      // What a failed sync has dropped is gone with the power; later writes beside it would heal
      // it.
      if (may_strike(chaos_kind::power) && choices_.below(choice_kind::fault, 2) == 1) {
        lurk(lure::failed_sync, chaos_kind::power, on, lurk_max);
      }
      break;
    case chaos_kind::disk_full:
      host_.struck(kind, &on, fmt::format("disk full for {}", text));
      world.disk().set_quota(world.disk().used() + room_when_full);
      break;
    default:
      host_.struck(kind, &on, fmt::format("slow disk for {}", text));
      healthy_.try_emplace(on.host(), world.options());
      world.set_latency(duration::milliseconds(1), duration::milliseconds(300));
      break;
  }
  if (kind >= chaos_kind::disk_error) ill_[on.host()] = true;
  later(length, {kind, &on});
}

// One request that fails strikes in the midst of something; no room hits all that goes on at once.
void chaos::strike_memory(virtual_node& on, memory_watch& memory) {
  constexpr std::uint64_t rooms[] = {0, 16u << 10, 256u << 10};
  constexpr std::uint64_t nth_max = 64;
  ++strikes_[static_cast<std::size_t>(chaos_kind::memory)];
  const duration length = draw(duration::milliseconds(100), duration::seconds(60));
  if (choices_.below(choice_kind::fault, 2) == 0) {
    const std::uint64_t nth = choices_.below(choice_kind::fault, nth_max) + 1;
    host_.struck(chaos_kind::memory, &on,
                 fmt::format("large request {} for memory from now on fails", nth));
    memory.fail_large(nth);
  } else {
    const std::uint64_t room = rooms[choices_.below(choice_kind::fault, std::size(rooms))];
    host_.struck(chaos_kind::memory, &on,
                 fmt::format("has {} bytes of memory left for {}", room, in_seconds(length)));
    memory.leave_room(room);
  }
  ill_[on.host()] = true;
  later(length, {chaos_kind::memory, &on});
}

void chaos::start(virtual_node& node) {
  host_.struck(chaos_kind::kill, &node, "starts");
  forget_illness(node);
  node.start(host_.program_of(node));
  // What a program found in the memory of its machine may not be on the disk yet.
  constexpr duration young_max = duration::seconds(2);
  const bool is_hunted = next_ != time_point::never() && host_.has_disk(node) &&
                         may_strike(chaos_kind::power) && !lurking_.on;
  if (is_hunted && choices_.below(choice_kind::fault, 4) == 1) {
    lurk(lure::young_program, chaos_kind::power, node, draw(duration::milliseconds(5), young_max));
  }
}

void chaos::relieve(const relief& from) {
  constexpr std::uint64_t no_quota = std::uint64_t{1} << 40;
  switch (from.kind) {
    case chaos_kind::kill:
    case chaos_kind::power:
      if (from.on->starts() == from.starts) start(*from.on);
      return;
    case chaos_kind::pause:
      host_.struck(from.kind, from.on, "goes on");
      return from.on->resume();
    case chaos_kind::partition:
      nodes_.links().between(from.on->host(), from.other->host()).is_cut = false;
      return;
    case chaos_kind::reset:
      return each_link([](link_conditions& one) { one.reset_chance = 0; });
    case chaos_kind::loss:
      return each_link([](link_conditions& one) { one.loss_chance = one.double_chance = 0; });
    case chaos_kind::slow_network:
      return each_link([](link_conditions& one) { one.slow_chance = 0; });
    case chaos_kind::short_transfers:
      return from.on->world().set_short_chance(0);
    case chaos_kind::disk_error:
      return from.on->world().set_illness({});
    case chaos_kind::disk_full:
      return from.on->world().disk().set_quota(no_quota);
    case chaos_kind::slow_disk:
      if (const auto was = healthy_.extract(from.on->host())) {
        from.on->world().set_latency(was.mapped().latency_min, was.mapped().latency_max);
      }
      return;
    case chaos_kind::sync_error:
      return from.on->world().drop_faults();
    case chaos_kind::memory:
      return host_.memory_of(*from.on)->heal();
    case chaos_kind::clock:
    case chaos_kind::clog:
      return;
  }
}

void chaos::heal() {
  next_ = time_point::never();
  lurking_ = {};
  for (const auto& [at, what] : std::exchange(reliefs_, {})) relieve(what);
  each_link([](link_conditions& one) { one = {}; });
  for (std::size_t i = 0; i < nodes_.count(); ++i) {
    virtual_node& node = nodes_.at(i);
    node.clock().set({}, nodes_.now());
    node.resume();
  }
}

}  // namespace weir
