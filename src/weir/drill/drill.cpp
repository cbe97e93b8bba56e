#include <weir/drill/drill.hpp>

#include <weir/base/hash.hpp>
#include <weir/base/log.hpp>
#include <weir/base/probe.hpp>
#include <weir/core/memory_pause.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/drill/drill_client.hpp>
#include <weir/drill/drill_trust.hpp>
#include <weir/flow/event.hpp>
#include <weir/io/signals.hpp>
#include <weir/serve/server_life.hpp>
#include <weir/sim/run_story.hpp>
#include <weir/store/journal.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

namespace weir::drill {

namespace {

constexpr std::size_t events_kept = 40;
constexpr duration supervisor_pause = duration::seconds(1);
constexpr duration look_every = duration::seconds(1);
// The present segment, the next one that is made ready, those that wait to be removed; a snapshot
// that is being written beside the last one; and each body in the journal and in a snapshot.
constexpr std::uint64_t segments_spare = 6;
constexpr std::uint64_t snapshots_spare = 2;
constexpr std::uint64_t copies_max = 3;
// In memory: what a server has that has nothing to do, and calls and answers on their way; two
// windows of a segment while it recovers; the journal's latest groups, which are of what was
// submitted; and each message's place, key, note and reply.
constexpr std::uint64_t memory_at_rest = 2u << 20;
constexpr std::uint64_t memory_recovering = 2u << 20;
constexpr std::uint64_t memory_of_message = 512;
constexpr std::uint64_t memory_of_machine = 64u << 10;  // connections of its clients
// Buffers for both directions of connections that lost packets leave behind, until their time-outs.
constexpr std::uint64_t memory_of_tls = 2u << 20;
constexpr duration end_patience = duration::seconds(60);

struct quiet_observer final : server_observer {
  explicit quiet_observer(bool& tell) noexcept : is_serving(tell) { is_serving = false; }
  void listening(const address&) override { is_serving = true; }
  bool& is_serving;
};

/// `weir serve`, from its settings on, as the command runs it.
class server_program final : public node_program {
 public:
  explicit server_program(server_config config) noexcept : config_(std::move(config)) {}
  WEIR_CORO_WRAPPER task<> main(virtual_node&) override { return run(this); }

  /// Since its last start: it has recovered.
  bool is_serving() const noexcept { return is_serving_; }
  /// From the next start or SIGHUP on.
  void give_certificate(server_pair pair) {
    config_.tls_cert = "/etc/weir/cert.pem";
    config_.tls_key = "/etc/weir/key.pem";
    files_.tls_cert = std::move(pair.certificate);
    files_.tls_key = std::move(pair.key);
  }

 private:
  static task<> reload_at_hangup(server_program* self, std::shared_ptr<server_secrets> secrets) {
    memory_pause memory("reload");
    for (bool is_wanted = false;;) {
      if (!is_wanted) co_await wait_signal(SIGHUP);
      is_wanted = false;
      try {
        value_or_raise(secrets->reload(self->config_, self->files_));
        continue;
      } catch (...) {
        memory.found_none();
      }
      is_wanted = true;
      co_await sleep_until(memory.until());
    }
  }
  static task<> stop_at_term(event* stop) {
    co_await wait_signal(SIGTERM);
    stop->set();
  }
  static task<> run(server_program* self) {
    result<server_setup> setup = check_setup(self->config_, self->files_);
    if (!setup) raise(std::move(setup.error()));
    event stop;
    quiet_observer tell(self->is_serving_);
    co_await with_scope({.name = "process"}, [&](scope& process) -> task<> {
      process.spawn(stop_at_term, &stop);
      process.spawn(reload_at_hangup, self, setup->secrets);
      co_await run_server(std::move(*setup), stop, tell);
      process.cancel("the server has ended");
    });
  }

  bool is_serving_ = false;
  server_config config_;
  server_files files_{.tokens = std::string(token) + "\n"};
};

/// What a seed has drawn besides the faults.
struct knobs {
  knobs(choices& from, tls_use tls);

  std::size_t socket_buffer_max;
  bool shuffle;
  duration latency_max;
  std::uint32_t segment_bytes;
  std::uint64_t snapshot_bytes;
  duration wait;  // of a worker for a message
  duration pause;
  std::uint32_t submitters;
  std::uint32_t body_bytes_max;
  duration renewed_every;    // the server, as for a new version; 0: never
  bool churns;               // messages come and are soon forgotten
  duration certified_every;  // the server's certificate is renewed; 0: never
  bool speaks_tls;
};

template <class T, std::size_t N>
T draw(choices& from, const T (&values)[N]) {
  return values[from.below(choice_kind::knob, N)];
}

// Drawn in any case, so that a wish moves nothing that is drawn behind it.
bool draw_tls(choices& from, tls_use wanted) {
  const bool is_drawn = from.below(choice_kind::knob, 4) == 3;
  return wanted == tls_use::drawn ? is_drawn : wanted == tls_use::always;
}

knobs::knobs(choices& from, tls_use tls)
    : socket_buffer_max(draw(from, {std::size_t{65'536}, std::size_t{4'096}, std::size_t{512},
                                    std::size_t{64}, std::size_t{1}})),
      shuffle(from.below(choice_kind::knob, 2) == 1),
      latency_max(draw(from, {duration(), duration::milliseconds(1), duration::milliseconds(5)})),
      segment_bytes(draw(from, {1u << 20, 512u << 10, 256u << 10})),
      snapshot_bytes(
          draw(from, {std::uint64_t{4} << 20, std::uint64_t{1} << 20, std::uint64_t{256} << 10})),
      wait(duration::seconds(2)),
      pause(draw(from, {duration::milliseconds(2'000), duration::milliseconds(500),
                        duration::milliseconds(10'000)})),
      submitters(draw(from, {1u, 2u, 4u})),
      body_bytes_max(draw(from, {300u, 3'000u, 20'000u})),
      renewed_every(draw(from, {duration(), duration::seconds(50), duration::seconds(140)})),
      churns(from.below(choice_kind::knob, 2) == 1),
      certified_every(draw(from, {duration(), duration::seconds(40), duration::seconds(160)})),
      speaks_tls(draw_tls(from, tls)) {
  constexpr std::size_t tiny = 64;
  // A handshake byte by byte takes longer than it may.
  if (speaks_tls) socket_buffer_max = std::max(socket_buffer_max, tiny);
  // A buffer of one byte is legal and makes a thousand packets of a request: then fewer requests.
  if (socket_buffer_max > tiny) return;
  latency_max = {};
  wait = duration::seconds(30);
  pause = duration::seconds(20);
  submitters = 1;
  body_bytes_max = 300;
}

class run final : public chaos_host {
 public:
  run(const drill_settings& settings, choices& decisions, drill_listener* listener);
  run(const run&) = delete;
  run& operator=(const run&) = delete;
  /// The programs end while what they use is here.
  ~run() {
    for (std::size_t i = 0; i != nodes_.count(); ++i) nodes_.at(i).kill();
  }

  drill_report made();

 private:
  server_config server_config_of() const {
    server_config config;
    config.data = "/data";
    config.listen = fmt::format("10.0.0.1:{}", server_port);
    config.calls.deny.emplace();  // the clients' machines have private addresses
    config.limits.message_bytes_max = 64u << 10;
    config.segment_bytes = drawn_.segment_bytes;
    config.snapshot_bytes = drawn_.snapshot_bytes;
    return config;
  }

  // chaos_host
  node_program& program_of(virtual_node& node) override {
    if (&node == &nodes_.at(0)) return server_;
    return clients_;
  }
  bool has_disk(const virtual_node& node) override { return &node == &nodes_.at(0); }
  memory_watch* memory_of(const virtual_node& node) override {
    return &node == &nodes_.at(0) ? &*memory_ : nullptr;
  }
  void struck(chaos_kind kind, virtual_node* on, const std::string& how) override;

  void note(std::string_view who, std::string_view what);
  bool is_over() const noexcept { return !book_.violation().empty(); }
  void go_until(time_point until);
  duration server_clock_lead();
  template <class Done>
  void go_until_done(duration patience, const char* wanted, Done done);
  void look_at_disk();
  void look_at_memory();
  void supervise();
  void renew();
  void renew_certificate();
  void end_and_look_again();
  void examine();

  drill_settings settings_;
  drill_listener* listener_;
  probe_book probes_;
  ledger book_;
  virtual_nodes nodes_;
  std::optional<memory_watch> memory_;  // of the server's machine
  knobs drawn_;
  std::optional<drill_trust> trust_;
  client_orders orders_;
  server_program server_;
  client_program clients_;
  std::vector<std::string> names_;
  std::unique_ptr<chaos> chaos_;
  time_point restart_at_ = time_point::never();
  time_point renew_at_ = time_point::never();
  time_point certify_at_ = time_point::never();
  duration server_clock_lead_most_;  // when it was set, and at the beginning
  std::uint64_t renewed_start_ = 0;  // which start of the server was asked to end
  drill_report report_;
  std::uint64_t print_ = 0;
};

run::run(const drill_settings& settings, choices& decisions, drill_listener* listener)
    : settings_(settings),
      listener_(listener),
      probes_(decisions),
      nodes_(decisions),
      drawn_(decisions, settings.tls),
      orders_(book_),
      server_(server_config_of()),
      clients_(orders_) {
  for (std::uint32_t i = 0; i < settings.nodes; ++i) {
    names_.push_back(i == 0 ? "server" : fmt::format("client{}", i));
    nodes_.add({.name = names_.back().c_str(),
                .world = {.shuffle = drawn_.shuffle,
                          .latency_max = drawn_.latency_max,
                          .socket_buffer_max = drawn_.socket_buffer_max}});
  }
  if (drawn_.speaks_tls) {
    trust_.emplace();
    orders_.authority = trust_->authority();
    server_.give_certificate(trust_->issue(nodes_.at(0).address(), orders_.certificate));
  }
  orders_.server =
      fmt::format("{}://{}:{}", trust_ ? "https" : "http", nodes_.at(0).address(), server_port);
  orders_.worker = fmt::format("http://{}:{}/work", nodes_.at(1).address(), call_port);
  orders_.examiner = nodes_.at(1).address();
  orders_.is_narrow = drawn_.socket_buffer_max <= 64;
  orders_.submitters = drawn_.submitters;
  orders_.churns = drawn_.churns;
  orders_.listener = listener;
  orders_.pause = drawn_.pause;
  orders_.wait = drawn_.wait;
  orders_.body_bytes_max = drawn_.body_bytes_max;
  chaos_ = std::make_unique<chaos>(nodes_, settings.faults, *this);
  memory_.emplace(nodes_.at(0).world());
  if (!chaos_->may_strike(chaos_kind::clock)) book_.trust_clocks();
}

// Of its wall clock, before the true time.
duration run::server_clock_lead() {
  const time_point shown = nodes_.at(0).world().clock().wall_now();
  return shown - virtual_clock::wall_start - nodes_.elapsed();
}

void run::struck(chaos_kind kind, virtual_node* on, const std::string& how) {
  if (kind == chaos_kind::clock) {  // it is about to be set
    server_clock_lead_most_ = std::max(server_clock_lead_most_, server_clock_lead());
  }
  if (kind == chaos_kind::disk_error) {
    book_.allow_early_deaths();
    orders_.may_fail_inside = true;
  }
  if (kind == chaos_kind::sync_error || kind == chaos_kind::disk_full ||
      kind == chaos_kind::memory) {
    orders_.may_fail_inside = true;
  }
  note(on ? on->name() : "network", how);
}

void run::note(std::string_view who, std::string_view what) {
  std::string line = fmt::format("{} {} {}", clock_text(nodes_.elapsed()), who, what);
  for (const char c : line) print_ = mix(print_ ^ static_cast<unsigned char>(c));
  if (listener_) listener_->event(line);
  if (report_.events.size() == events_kept) report_.events.erase(report_.events.begin());
  report_.events.push_back(std::move(line));
}

// A server that ends by itself is started again by whoever watches over it, as systemd does; but it
// must have had a reason.
void run::supervise() {
  for (std::size_t i = 0; i < nodes_.count(); ++i) {
    virtual_node& node = nodes_.at(i);
    if (!node.has_ended()) continue;
    const std::string why = node.outcome().failure.substr(0, node.outcome().failure.find('\n'));
    if (i != 0) {
      return book_.broken(fmt::format("{} ended: {}", node.name(), node.outcome().failure));
    }
    const int death = node.world().death();  // of a signal that it had not waited for yet
    if (death != 0 || (node.starts() == renewed_start_ && !node.outcome().is_failed)) {
      note("server", death != 0 ? "has died of a signal and starts" : "has ended and starts");
      chaos_->forget_illness(node);
      node.start(server_);
    } else if (restart_at_ == time_point::never()) {
      note("server", fmt::format("ended by itself: {}", why));
      if (!chaos_->is_ill(node)) {
        return book_.broken(fmt::format("the server ended by itself: {}", node.outcome().failure));
      }
      if (server_.is_serving() &&
          node.outcome().failure.find("std::bad_alloc") != std::string::npos) {
        return book_.broken(
            fmt::format("want of memory ended a server that served: {}", node.outcome().failure));
      }
      restart_at_ = nodes_.now() + supervisor_pause;
    } else if (nodes_.now() >= restart_at_) {
      restart_at_ = time_point::never();
      chaos_->forget_illness(node);
      note("server", "starts");
      node.start(server_);
    }
  }
}

// Whoever runs it puts a new version in its place now and then, in order and in the midst of work.
void run::renew() {
  virtual_node& server = nodes_.at(0);
  const bool is_wanted = std::exchange(orders_.wants_renewal, false);
  if (nodes_.now() < renew_at_ && !is_wanted) return;
  if (!is_wanted) renew_at_ = nodes_.now() + drawn_.renewed_every;
  if (!server.is_running() || server.is_paused()) return;
  note("server", "is asked to end");
  renewed_start_ = server.starts();
  server.signal(SIGTERM);
}

// Certificates are renewed while the server runs, and while it doesn't.
void run::renew_certificate() {
  const bool is_wanted = std::exchange(orders_.wants_certificate, false);
  if (!trust_ || (nodes_.now() < certify_at_ && !is_wanted)) return;
  if (!is_wanted) certify_at_ = nodes_.now() + drawn_.certified_every;
  virtual_node& server = nodes_.at(0);
  note("server", fmt::format("gets certificate {}", ++orders_.certificate));
  server_.give_certificate(trust_->issue(server.address(), orders_.certificate));
  if (server.is_running()) server.signal(SIGHUP);
}

// The folder holds messages and a bounded number of files that are about to go.
void run::look_at_disk() {
  const std::uint64_t used = nodes_.at(0).world().disk().used();
  if (used <= report_.disk_bytes_max) return;
  report_.disk_bytes_max = used;
  report_.disk_bytes_bound = segments_spare * drawn_.segment_bytes +
                             snapshots_spare * drawn_.snapshot_bytes +
                             copies_max * orders_.bytes_submitted;
  if (used > report_.disk_bytes_bound) {
    book_.broken(fmt::format("the data folder has {} bytes, and {} were submitted", used,
                             orders_.bytes_submitted));
  }
}

void run::look_at_memory() {
  const std::uint64_t used = memory_->bytes_highest();
  if (used <= report_.memory_bytes_max) return;
  report_.memory_bytes_max = used;
  const std::uint64_t latest =
      std::min<std::uint64_t>(orders_.bytes_submitted, journal_options().recent_bytes_max);
  report_.memory_bytes_bound =
      memory_at_rest + memory_recovering + latest + (drawn_.speaks_tls ? memory_of_tls : 0) +
      memory_of_machine * (nodes_.count() - 1) + memory_of_message * book_.counts().tried;
  if (used > report_.memory_bytes_bound) {
    book_.broken(fmt::format("the server has held {} bytes of memory, {} is its bound", used,
                             report_.memory_bytes_bound));
  }
}

void run::go_until(time_point until) {
  while (nodes_.now() < until && !is_over()) {
    const time_point next =
        std::min({until, nodes_.now() + look_every, std::max(chaos_->next_at(), nodes_.now())});
    if (!nodes_.run_until(next)) {
      return book_.broken("the run is stuck: a million turns, and no time passes");
    }
    chaos_->act();
    renew();
    renew_certificate();
    supervise();
    look_at_disk();
    look_at_memory();
  }
}

// What is due is so by the server's wall clock: by what that was set back since, all comes later.
template <class Done>
void run::go_until_done(duration patience, const char* wanted, Done done) {
  patience += std::max(server_clock_lead_most_ - server_clock_lead(), duration());
  const time_point limit = nodes_.now() + patience;
  while (!done() && !is_over()) {
    if (nodes_.now() >= limit) {
      return book_.broken(
          fmt::format("{} after {} s without faults; {} messages are open, one is {}", wanted,
                      patience.ns / 1'000'000'000, book_.open(), book_.describe_open()));
    }
    go_until(nodes_.now() + look_every);
  }
}

// A server that was asked to end does, and has it all when it is back.
void run::end_and_look_again() {
  virtual_node& server = nodes_.at(0);
  note("server", "is asked to end");
  server.signal(SIGTERM);
  const time_point limit = nodes_.now() + end_patience;
  while (server.is_running() && nodes_.now() < limit) nodes_.run_for(look_every);
  if (server.is_running()) return book_.broken("the server does not end when it is asked to");
  if (server.outcome().is_failed && server.world().death() == 0) {
    return book_.broken("the server's end failed: " + server.outcome().failure);
  }
  note("server", "has ended and starts");
  server.start(server_);
  book_.look_again();
  go_until_done(settings_.patience, "not all messages were seen again",
                [this] { return book_.is_settled(); });
}

// What can be judged only where nothing goes wrong.
void run::examine() {
  constexpr std::uint64_t exam_bytes = 4u << 20;
  note("client1", "examines the server");
  orders_.bytes_submitted += exam_bytes;
  orders_.wants_exam = true;
  go_until_done(settings_.patience, "the examination has not come to its end",
                [this] { return orders_.is_examined; });
}

drill_report run::made() {
  probes_.include_own();
  probe_listener* const outer = set_probe_listener(&probes_);
  if (listener_) listener_->begins({.machines = nodes_, .speaks_tls = drawn_.speaks_tls});
  report_.swarm = chaos_->swarm() + (trust_ ? "; over TLS" : "");
  for (std::size_t i = 0; i < nodes_.count(); ++i) {
    nodes_.at(i).start(program_of(nodes_.at(i)));
  }
  if (drawn_.renewed_every.ns > 0) renew_at_ = nodes_.now() + drawn_.renewed_every;
  if (drawn_.certified_every.ns > 0) certify_at_ = nodes_.now() + drawn_.certified_every;
  go_until(nodes_.now() + settings_.time);
  renew_at_ = certify_at_ = time_point::never();
  if (!is_over()) {
    note("chaos", "ends");
    chaos_->heal();
    if (restart_at_ != time_point::never()) restart_at_ = nodes_.now();
    supervise();
    restart_at_ = time_point::never();
    orders_.submits = orders_.is_patient = false;
    go_until_done(settings_.patience, "not everything has come to its end",
                  [this] { return book_.is_settled(); });
  }
  if (!is_over()) end_and_look_again();
  if (!is_over()) examine();
  if (is_over()) note("drill", book_.violation());
  if (chaos_->strikes(chaos_kind::memory) != 0) {
    sometimes(memory_->refused() != 0, "a request for memory fails");
  }
  set_probe_listener(outer);
  report_.violation = book_.violation();
  report_.fingerprint = mix(nodes_.fingerprint() ^ print_);
  report_.simulated = nodes_.elapsed();
  report_.turns = nodes_.turns();
  report_.packets = nodes_.links().stats().packets;
  report_.server_starts = nodes_.at(0).starts();
  report_.counts = book_.counts();
  for (std::size_t i = 0; i < chaos_kinds; ++i) {
    report_.strikes[i] = chaos_->strikes(static_cast<chaos_kind>(i));
  }
  report_.memory_refused = memory_->refused();
  report_.probes = probes_.seen();
  report_.maybes = probes_.asked();
  return std::move(report_);
}

}  // namespace

drill_report run_drill(const drill_settings& settings, choices& decisions,
                       drill_listener* listener) {
  return run(settings, decisions, listener).made();
}

}  // namespace weir::drill
