#include <weir/sim/virtual_links.hpp>

#include <algorithm>
#include <utility>

namespace weir {

namespace {

bool is_cut(const link_conditions& on, const packet& what) noexcept {
  return on.is_cut || (what.is_ipv6 ? on.is_ipv6_cut : on.is_ipv4_cut);
}

}  // namespace

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
  if (is_datagram(found->second.packets.front().what.kind)) --datagrams_;
  pipes_.erase(found);
}

void virtual_links::carry(packet what) {
  if (is_datagram(what.kind)) return carry_datagram(std::move(what));
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
                .to = what.from,
                .is_ipv6 = what.is_ipv6};
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

void virtual_links::carry_datagram(packet what) {
  const bool is_doubled = choices_.chance(choice_kind::network, conditions(what).double_chance);
  if (is_doubled) {
    ++stats_.datagrams_doubled;
    begin_datagram(what);
  }
  begin_datagram(std::move(what));
}

void virtual_links::begin_datagram(packet what) {
  ++stats_.packets;
  stats_.bytes += what.data.size();
  if (datagrams_ == datagrams_max) {
    ++stats_.datagrams_lost;
    return;
  }
  ++datagrams_;
  const time_point at = clock_.now() + draw_latency(conditions(what));
  const pipe_name name{new_connection(), what.from};
  pipe& alone = pipes_[name];
  alone.id = ++scheduled_;
  alone.packets.push_back({.what = std::move(what), .at = at});
  schedule(name, alone, at);
}

void virtual_links::deliver_datagram(const pipe_name& name, pipe& of) {
  const packet what = std::move(of.packets.front().what);
  drop(name);
  const link_conditions& on = conditions(what);
  const bool is_lost = is_cut(on, what) || choices_.chance(choice_kind::network, on.loss_chance);
  if (is_lost || !host_.deliver(what)) ++stats_.datagrams_lost;
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
  const bool is_answer = what.kind == packet_kind::accepted || what.kind == packet_kind::refused;
  if (of.tries++ == 0) of.first_try = clock_.now();
  const duration patience = is_connect || is_answer ? connect_patience : data_patience;
  if (clock_.now() - of.first_try >= patience) {
    ++stats_.given_up;
    // Whoever connects counts by itself how long no answer came.
    const packet to_asker{.kind = packet_kind::timed_out,
                          .connection = what.connection,
                          .from = what.from,
                          .to = what.to,
                          .is_ipv6 = what.is_ipv6};
    const packet news{.kind = packet_kind::timed_out,
                      .connection = what.connection,
                      .from = what.to,
                      .to = what.from,
                      .is_ipv6 = what.is_ipv6};
    drop(name);
    host_.deliver(news);
    if (is_answer) host_.deliver(to_asker);
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
  const packet& next = of.packets.front().what;
  const link_conditions& on = conditions(next);
  if (on.clogged_until > clock_.now()) return schedule(name, of, on.clogged_until);
  if (is_datagram(next.kind)) return deliver_datagram(name, of);
  if (is_cut(on, next) || choices_.chance(choice_kind::network, on.loss_chance)) {
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
