#include <weir/serve/server_life.hpp>

#include <weir/base/escaped.hpp>
#include <weir/base/log.hpp>
#include <weir/base/text.hpp>
#include <weir/broker/broker.hpp>
#include <weir/core/as_result.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/http/server.hpp>
#include <weir/io/socket.hpp>
#include <weir/serve/pusher.hpp>
#include <weir/serve/service.hpp>
#include <weir/serve/version.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

namespace weir {

namespace {

/// JSON and base64 around a batch's bodies.
constexpr std::size_t batch_bytes_max = 64u << 20;

http::server_limits limits_of(const server_config& config) {
  http::server_limits limits;
  limits.message.body_bytes_max =
      std::max<std::uint64_t>(batch_bytes_max, config.limits.message_bytes_max);
  limits.connections_max = config.connections_max;
  limits.bodies_bytes_max = config.bodies_bytes_max;
  limits.answers_bytes_max = config.answers_bytes_max;
  limits.connections_per_client_max = config.connections_per_client_max;
  limits.drain_timeout = config.drain_timeout;
  return limits;
}

/// A group of records is one write and must fit into a segment, and any message into a group.
std::size_t group_needed(const server_config& config) {
  constexpr std::size_t around_a_message = 8u << 10;
  return config.limits.message_bytes_max + around_a_message;
}

broker_options store_of(const server_config& config) {
  broker_options options{
      .dir = config.data, .limits = config.limits, .subscriptions_max = config.event_streams_max};
  options.reading_bytes_max = static_cast<std::size_t>(config.answers_bytes_max);
  options.journal.segment_bytes = config.segment_bytes;
  options.journal.snapshot_bytes = config.snapshot_bytes;
  journal_options& journal = options.journal;
  journal.group_bytes_max =
      std::min<std::size_t>(std::max<std::size_t>(journal.group_bytes_max, group_needed(config)),
                            config.segment_bytes / 2);
  journal.pending_bytes_max = std::max(journal.pending_bytes_max, journal.group_bytes_max);
  options.journal.accept_loss = config.accept_loss;
  return options;
}

/// Everything of one running server.
struct parts {
  parts(broker& from, server_setup& setup)
      : answers(from,
                {.secrets = setup.secrets.get(),
                 .callable = &setup.callable,
                 .wait_max = setup.config.wait_max,
                 .event_streams_max = setup.config.event_streams_max},
                &pushes),
        pushes(from, answers.counters(), {setup.secrets->calls(), &setup.callable}),
        door(answers, limits_of(setup.config)) {
    answers.show(door);
  }

  service answers;
  pusher pushes;
  http::server door;
};

/// What a drain touches.
struct drain_plan {
  event& stop;
  parts& all;
  scope& front;
  duration timeout;
};

task<> drain_at_stop(drain_plan plan) {
  co_await plan.stop.wait();
  log::info("draining", {{"at_most", format_duration(plan.timeout)}});
  plan.all.door.drain();
  plan.all.pushes.drain();
  plan.front.set_deadline(loop::current()->now() + plan.timeout);
}

/// An address that is taken is the user's mistake, and he is told what to do.
task<listener> open_door(const address& where) {
  auto door = co_await as_result(listen_at(where));
  if (door) co_return std::move(*door);
  if (door.error() == errc::busy) {
    raise(error(errc::busy, fmt::format("{} is taken by another process: end it, or give --listen "
                                        "another address",
                                        where.text())));
  }
  raise(door.error());
}

/// Serves until the drain is over.
task<> serve_front(parts& all, listener door, event& stop, const server_setup& setup) {
  co_await with_scope({.name = "front"}, [&](scope& front) -> task<> {
    front.spawn(drain_at_stop, drain_plan{stop, all, front, setup.config.drain_timeout});
    front.spawn([](pusher* pushes) -> task<> { co_await pushes->run(); }, &all.pushes);
    co_await all.door.run(std::move(door), setup.secrets->tls());
  });
}

}  // namespace

result<server_setup> check_setup(const server_config& config, const server_files& files) {
  server_setup setup{.config = config, .listen = {}, .secrets = {}, .callable = {}};
  if (config.data.empty()) {
    return fail(errc::invalid_argument, "the data folder has no name: give --data a folder");
  }
  result<address> listen = address::parse(config.listen);
  if (!listen) return fail(std::move(listen.error()));
  setup.listen = *listen;
  if (config.bodies_bytes_max < config.limits.message_bytes_max) {
    return fail(errc::invalid_argument,
                fmt::format("limits.bodies_bytes is {}, but one message may have {} bytes "
                            "(limits.message_bytes)",
                            config.bodies_bytes_max, config.limits.message_bytes_max));
  }
  result<std::shared_ptr<server_secrets>> secrets = server_secrets::load(config, files);
  if (!secrets) return fail(std::move(secrets.error()));
  setup.secrets = std::move(*secrets);
  if (config.segment_bytes / 2 < group_needed(config)) {
    return fail(errc::invalid_argument,
                fmt::format("messages of up to {} bytes (limits.message_bytes) need a "
                            "journal.segment_bytes of at least {}",
                            config.limits.message_bytes_max,
                            (2 * group_needed(config) + 4095) / 4096 * 4096));
  }
  const bool is_guarded = setup.secrets->tokens() || setup.secrets->verifies_clients();
  if (!setup.listen.is_loopback() && !is_guarded) {
    return fail(errc::invalid_argument,
                fmt::format("{} can be reached from other machines: give a --token-file with "
                            "secrets for its clients, or listen on 127.0.0.1",
                            config.listen));
  }
  std::vector<std::string> deny;
  if (config.calls.deny) {
    deny = *config.calls.deny;
  } else if (!setup.listen.is_loopback() || is_guarded) {
    // Who must say a secret comes from elsewhere, perhaps by way of a proxy on this machine.
    deny.assign(std::begin(call_deny_default), std::end(call_deny_default));
  }
  result<address_rules> callable = address_rules::parse(deny, config.calls.allow);
  if (!callable) {
    return fail(errc::invalid_argument,
                fmt::format("the rules for calls (calls.deny, calls.allow): {}",
                            callable.error().message()));
  }
  setup.callable = std::move(*callable);
  return setup;
}

task<> run_server(server_setup setup, event& stop, server_observer& observer) {
  const server_config config = setup.config;
  const address where = setup.listen;
  broker_options opening = store_of(config);
  opening.journal.progress = observer.recovery();
  const std::unique_ptr<broker> store = co_await broker::open(std::move(opening));
  parts all(*store, setup);
  co_await with_scope({.name = "weir serve"}, [&](scope& back) -> task<> {
    back.spawn([](broker* of) -> task<> { co_await of->run(); }, store.get());
    back.spawn([](service* of) -> task<> { co_await of->sample_rates(); }, &all.answers);
    listener door = co_await open_door(where);
    observer.listening(door.local());
    co_await serve_front(all, std::move(door), stop, setup);
    co_await store->close();
    back.cancel("the server has ended");
  });
  log::info("ended", {{"folder", config.data}});
}

/// A name as the log has it, so that it can't make lines of its own.
static std::string on_one_line(std::string_view text) {
  std::string out;
  append_escaped(out, text, false);
  return out;
}

std::string greeting(const server_setup& setup, const address& at, std::string_view driver) {
  const std::string_view scheme = setup.secrets->tls() ? "https://" : "http://";
  const std::string where = at.text();
  std::string url = fmt::format("{}{}", scheme, where);
  std::string door = url;
  std::string options = setup.secrets->tokens() ? "-H 'Authorization: Bearer TOKEN' " : "";
  if (at.family() == address_family::unix_path) {
    std::string_view path = std::string_view(where).substr(where.find(':') + 1);
    const bool is_abstract = path.starts_with('@');
    if (is_abstract) path.remove_prefix(1);
    options += fmt::format("--{}unix-socket '{}' ", is_abstract ? "abstract-" : "", path);
    url = fmt::format("{}localhost", scheme);
    door = where;
  }
  return fmt::format(
      "weir {0} listening on {5} ({2}), data in {3}\n"
      "Try:\n"
      "  curl {4}-X PUT {1}/v1/queues/mails\n"
      "  curl {4}-d 'Dear Ada' {1}/v1/queues/mails/messages\n"
      "  curl {4}-X POST '{1}/v1/queues/mails/leases?wait=5s'\n",
      version(), url, driver, on_one_line(setup.config.data), options, door);
}

}  // namespace weir
