#include <weir/sim/virtual_links.hpp>

#include <algorithm>
#include <utility>

namespace weir {

const link_conditions& virtual_links::conditions(const packet& what) const {
  const auto found = links_.find({what.from, what.to});
  return found == links_.end() ? usual_ : found->second;
}

void virtual_links::set_all(const link_conditions& to) {
  usual_ = to;
  for (auto& [pair, one] : links_) one = to;
}

duration virtual_links::draw_latency(const link_conditions& on) {
  duration drawn(choices_.between(choice_kind::network, on.latency_min.ns,
                                  std::max(on.latency_min.ns, on.latency_max.ns)));
  if (choices_.chance(choice_kind::network, on.slow_chance)) {
    drawn += duration(choices_.between(choice_kind::network, 0, on.slow_max.ns));
  }
  return drawn;
}

void virtual_links::schedule(const pipe_name& name, pipe& of, time_point at) {
  of.due = {.at = at, .number = ++scheduled_};
  due_[of.due] = name;
}

void virtual_links::drop(const pipe_name& name) {
  const auto found = pipes_.find(name);
  if (found == pipes_.end()) return;
  due_.erase(found->second.due);
  pipes_.erase(found);
}

void virtual_links::carry(packet what) {
  const link_conditions& on = conditions(what);
  ++stats_.packets;
  stats_.bytes += what.data.size();
  const pipe_name name{what.connection, what.from};
  if (what.kind == packet_kind::data && choices_.chance(choice_kind::fault, on.reset_chance)) {
    // A box between the two has forgotten the connection, and tells both.
    ++stats_.resets;
    drop(name);
    packet back{.kind = packet_kind::reset,
                .connection = what.connection,
                .from = what.to,
                .to = what.from};
    drop({what.connection, what.to});
    what.kind = packet_kind::reset;
    what.data.clear();
    carry(std::move(back));
  }
  pipe& into = pipes_[name];
  if (into.id == 0) into.id = ++scheduled_;
  time_point at = clock_.now() + draw_latency(on);
  if (!into.packets.empty()) at = std::max(at, into.packets.back().at);
  into.packets.push_back({.what = std::move(what), .at = at});
  if (into.packets.size() == 1) schedule(name, into, at);
}

void virtual_links::forget_sender(host_number from) {
  for (auto at = pipes_.begin(); at != pipes_.end();) {
    const auto here = at++;
    if (here->first.second == from) drop(pipe_name(here->first));
  }
}

time_point virtual_links::next_due() const noexcept {
  return due_.empty() ? time_point::never() : due_.begin()->first.at;
}

void virtual_links::try_later(const pipe_name& name, pipe& of) {
  ++stats_.failed_tries;
  const packet& what = of.packets.front().what;
  const bool is_connect = what.kind == packet_kind::syn;
  if (of.tries++ == 0) of.first_try = clock_.now();
  if (clock_.now() - of.first_try > (is_connect ? connect_patience : data_patience)) {
    ++stats_.given_up;
    const packet news{.kind = packet_kind::timed_out,
                      .connection = what.connection,
                      .from = what.to,
                      .to = what.from};
    drop(name);
    host_.deliver(news);
    return;
  }
  const duration first = is_connect ? first_connect_retry : first_retry;
  constexpr std::uint32_t doublings_max = 10;
  const duration wait(std::min(first.ns << std::min(of.tries - 1, doublings_max), retry_max.ns));
  schedule(name, of, clock_.now() + wait);
}

void virtual_links::deliver_next() {
  const auto [key, name] = *due_.begin();
  due_.erase(due_.begin());
  pipe& of = pipes_.at(name);
  const link_conditions& on = conditions(of.packets.front().what);
  if (on.clogged_until > clock_.now()) return schedule(name, of, on.clogged_until);
  if (on.is_cut || choices_.chance(choice_kind::network, on.loss_chance)) {
    return try_later(name, of);
  }
  const std::uint64_t id = of.id;
  const packet what = std::move(of.packets.front().what);
  const bool is_taken = host_.deliver(what);
  const auto after = pipes_.find(name);  // the delivery may have ended the connection
  if (after == pipes_.end() || after->second.id != id) return;
  pipe& now = after->second;
  if (!is_taken) {
    now.packets.front().what = what;
    return try_later(name, now);
  }
  now.packets.pop_front();
  now.tries = 0;
  if (now.packets.empty()) {
    pipes_.erase(after);
  } else {
    schedule(name, now, std::max(now.packets.front().at, clock_.now()));
  }
}

}  // namespace weir
