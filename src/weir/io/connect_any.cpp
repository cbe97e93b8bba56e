#include <weir/io/connect_any.hpp>

#include <weir/core/select.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/io/address_rules.hpp>
#include <weir/io/internal/name_query.hpp>
#include <weir/io/resolve.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace weir {

namespace {

struct attempts {
  scope* around = nullptr;
  std::optional<socket> winner;
  std::exception_ptr failure;  // of the try that failed last
};

task<> attempt(attempts* all, address to) {
  std::optional<socket> made;
  try {
    made = co_await connect(to);
  } catch (...) {
    all->failure = std::current_exception();
  }
  if (!made || all->winner) co_return;
  all->winner = std::move(made);
  all->around->cancel("another address has answered");
}

task<> begin_one_after_the_other(attempts* all, const std::vector<address>* candidates,
                                 duration attempt_delay) {
  for (std::size_t i = 0; i < candidates->size(); ++i) {
    const spawned<void> newest = all->around->spawn(attempt, all, (*candidates)[i]);
    if (i + 1 < candidates->size()) co_await select(newest, sleep(attempt_delay));
  }
}

/// Section 8 of RFC 8305: an answer with IPv6 addresses may come so much later than the other one.
constexpr duration resolution_delay = duration::milliseconds(50);

/// What servers say about one family of a host.
struct family_answer {
  resolved_families family;
  bool has_come = false;
  std::exception_ptr failure = nullptr;
};

/// Tries of a host's addresses while some of them are still asked for.
struct host_attempts : attempts {
  const std::string* host = nullptr;
  std::uint16_t port = 0;
  const address_rules* rules = nullptr;
  family_answer ipv6{.family = resolved_families::ipv6};
  family_answer ipv4{.family = resolved_families::ipv4};
  std::vector<address> untried;
  address_family last_tried = address_family::ipv4;

  bool all_have_come() const noexcept { return ipv6.has_come && ipv4.has_come; }
  /// The families in turn, IPv6 first.
  address next() {
    auto at = std::ranges::find_if(untried,
                                   [&](const address& one) { return one.family() != last_tried; });
    if (at == untried.end()) at = untried.begin();
    const address one = *at;
    untried.erase(at);
    last_tried = one.family();
    return one;
  }
};

// The addresses themselves are not told: whoever asked may be a stranger who looks for them.
void leave_out_denied(std::vector<address>& found, const std::string& host,
                      const address_rules& rules) {
  std::string rule;
  std::erase_if(found, [&](const address& one) {
    const std::string_view denying = rules.denying(one);
    if (!denying.empty()) rule = denying;
    return !denying.empty();
  });
  if (!found.empty()) return;
  raise(error(errc::permission_denied,
              fmt::format("'{}' is at an address that may not be called: it is denied by the rule "
                          "'{}'",
                          host, rule)));
}

task<> look_up(host_attempts* all, family_answer* answer) {
  try {
    std::vector<address> found =
        co_await resolve(*all->host, all->port, {.families = answer->family});
    if (all->rules) leave_out_denied(found, *all->host, *all->rules);
    all->untried.insert(all->untried.end(), found.begin(), found.end());
  } catch (...) {
    answer->failure = std::current_exception();
  }
  answer->has_come = true;
}

task<> try_as_they_come(host_attempts* all) {
  scope& around = *all->around;
  const spawned<void> ipv6 = around.spawn(look_up, all, &all->ipv6);
  const spawned<void> ipv4 = around.spawn(look_up, all, &all->ipv4);
  co_await select(ipv6, ipv4);
  if (!all->ipv6.has_come) co_await select(ipv6, sleep(resolution_delay));
  while (!all->untried.empty() || !all->all_have_come()) {
    if (all->untried.empty()) {
      co_await (all->ipv6.has_come ? ipv4 : ipv6);  // one of them has come
      continue;
    }
    const spawned<void> newest = around.spawn(attempt, all, all->next());
    if (all->untried.empty() && all->all_have_come()) co_return;
    co_await select(newest, sleep(attempt_delay_default));
  }
}

error reason_of(const std::exception_ptr& failure) noexcept {
  try {
    std::rethrow_exception(failure);
  } catch (const exception& e) {
    return e.reason();
  } catch (...) {
    return error(errc::io);
  }
}
errc code_of(const std::exception_ptr& failure) noexcept { return reason_of(failure).code(); }

/// Why a host has no address: that one is denied says more than any other reason, that none is
/// known says less.
std::exception_ptr why_none(const host_attempts& of) noexcept {
  const errc ipv6 = code_of(of.ipv6.failure);
  const bool ipv6_says_more =
      ipv6 == errc::permission_denied || code_of(of.ipv4.failure) == errc::not_found;
  return ipv6_says_more ? of.ipv6.failure : of.ipv4.failure;
}

/// What servers did not say belongs to why nobody answers: one of those addresses might have.
[[noreturn]] void raise_why_nobody_answers(const host_attempts& of) {
  if (!of.failure) std::rethrow_exception(why_none(of));
  const bool ipv6_is_known = !of.ipv6.failure || code_of(of.ipv6.failure) == errc::not_found;
  const family_answer& other = ipv6_is_known ? of.ipv4 : of.ipv6;
  if (!other.failure || code_of(other.failure) == errc::not_found)
    std::rethrow_exception(of.failure);
  const error last = reason_of(of.failure);
  raise(error(last.code(), fmt::format("{}; and the addresses of '{}' in {} are not known",
                                       last.message(), *of.host, ipv6_is_known ? "IPv4" : "IPv6"))
            .caused_by(reason_of(other.failure)));
}

}  // namespace

std::vector<address> in_turn_by_family(std::vector<address> all) {
  if (all.empty()) return all;
  std::vector<address> same;
  std::vector<address> other;
  for (const address& one : all) {
    (one.family() == all.front().family() ? same : other).push_back(one);
  }
  all.clear();
  for (std::size_t i = 0; i < std::max(same.size(), other.size()); ++i) {
    if (i < same.size()) all.push_back(same[i]);
    if (i < other.size()) all.push_back(other[i]);
  }
  return all;
}

task<socket> connect_any(std::vector<address> candidates, duration attempt_delay) {
  if (candidates.empty())
    raise(error(errc::invalid_argument, "connect_any needs an address to connect to"));
  if (candidates.size() == 1) co_return co_await connect(candidates.front());
  attempts all;
  co_await with_scope({.name = "connect"}, [&](scope& s) -> task<> {
    all.around = &s;
    co_await begin_one_after_the_other(&all, &candidates, attempt_delay);
    co_await s.join();  // here, so that an outer cancellation ends this body, too
  });
  if (!all.winner) std::rethrow_exception(all.failure);
  co_return std::move(*all.winner);
}

task<socket> connect(std::string host, std::uint16_t port, const address_rules* rules) {
  const bool is_literal = address::parse(host, port).has_value();
  if (is_literal || !co_await detail::is_asked_as_it_is(&host)) {
    std::vector<address> found = co_await resolve(host, port);
    if (rules) leave_out_denied(found, host, *rules);
    co_return co_await connect_any(in_turn_by_family(std::move(found)));
  }
  host_attempts all;
  all.host = &host;
  all.port = port;
  all.rules = rules;
  co_await with_scope({.name = "connect"}, [&](scope& s) -> task<> {
    all.around = &s;
    co_await try_as_they_come(&all);
    co_await s.join();  // as above
  });
  if (!all.winner) raise_why_nobody_answers(all);
  co_return std::move(*all.winner);
}

}  // namespace weir
