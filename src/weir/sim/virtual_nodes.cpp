#include <weir/sim/virtual_nodes.hpp>

#include <weir/base/assert.hpp>
#include <weir/base/probe.hpp>
#include <weir/base/program_here.hpp>
#include <weir/core/dump.hpp>
#include <weir/core/scope.hpp>
#include <weir/core/string_sink.hpp>
#include <weir/core/wait_graph.hpp>
#include <weir/sim/internal/killed_steps.hpp>
#include <weir/sim/virtual_driver.hpp>
#include <weir/sim/virtual_processes.hpp>

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <optional>
#include <utility>

namespace weir {

namespace {

constexpr host_number first_host = 0x0a000001;  // 10.0.0.1

virtual_options led(virtual_options options, choices& decisions) {
  options.decisions = &decisions;
  options.is_led = true;
  return options;
}

// While it exists, decisions are those of a machine.
class machine_decides {
 public:
  machine_decides(choices& of, std::uint32_t machine) : of_(of), before_(of.decide_for(machine)) {}
  machine_decides(const machine_decides&) = delete;
  machine_decides& operator=(const machine_decides&) = delete;
  ~machine_decides() { of_.decide_for(before_); }

 private:
  choices& of_;
  std::uint32_t before_;
};

}  // namespace

struct virtual_node::process final : loop_observer {
  explicit process(virtual_node& node)
      : of(node), driver(node.world_), on(driver, node.loop_options_) {
    driver.set_label({.machine = of.name_.c_str()});
    if (of.all_.listener_) on.observe(this);
  }
  void before_step(std::uint64_t /*id*/) noexcept override {
    const detail::world_runs listening;
    of.all_.listener_->step(of, *on.running());
  }

  virtual_node& of;
  virtual_driver driver;
  loop on;
};

virtual_node::virtual_node(virtual_nodes& all, host_number host, const node_options& options)
    : all_(all),
      name_(options.name),
      host_(host),
      loop_options_(options.loop),
      world_(led(options.world, all.choices_)),
      clock_(world_.clock(), all.choices_, all.now()) {
  world_.network().join(all.links_, host);
  world_.datagrams().join(all.links_, host);
  clock_.set(options.clock, all.now());
  loop_options_.name = name_.c_str();
}

virtual_node::~virtual_node() {
  if (process_) kill();
}

std::string virtual_node::address() const {
  return fmt::format("{}.{}.{}.{}", host_ >> 24, host_ >> 16 & 255, host_ >> 8 & 255, host_ & 255);
}

std::string virtual_node::ipv6_address() const {
  return fmt::format("fd00::{:x}:{:x}", host_ >> 16, host_ & 0xffff);
}

void virtual_node::start(node_program& program) {
  WEIR_ASSERT(!process_ && "one program at a time");
  is_on_ = true;
  is_paused_ = has_ended_ = false;
  const machine_decides own(all_.choices_, number());
  ++starts_;
  outcome_ = {};
  process_ = std::make_unique<process>(*this);
  const detail::program_runs its_first(&world_.program());  // its first frame is its memory, too
  process_->on.root().spawn(detail::given_task<void>{program.main(*this)});
}

void virtual_node::kill() {
  if (!process_) return;
  const machine_decides own(all_.choices_, number());
  world_.crash(crash_loss::none);
  end_process("killed");
}

void virtual_node::cancel(const char* why) {
  if (!process_) return;
  const machine_decides own(all_.choices_, number());
  const detail::program_runs running(&world_.program());
  process_->on.cancel_between_turns(why);
}

std::string virtual_node::tasks_text() {
  detail::string_sink out;
  if (process_) {
    detail::print_wait_graph(process_->on, out);
    detail::print_task_tree(process_->on, out);
  }
  return std::move(out.text);
}

void virtual_node::signal(int number) {
  if (!process_) return;
  if (number == SIGCONT) resume();
  if (virtual_signals::stops_by_default(number) && !world_.is_heard(number)) return pause();
  world_.raise_signal(number);
  if (number == SIGKILL || (world_.death() != 0 && !is_paused_)) die();
}

void virtual_node::die() {
  outcome_.fail(run_failure::error,
                fmt::format("the program has died of signal {}", world_.death()));
  outcome_.stats = process_->on.stats();
  kill();
  has_ended_ = true;
}

void virtual_node::cut_power(crash_loss loss) {
  WEIR_ASSERT(loss != crash_loss::none && "that is kill()");
  const machine_decides own(all_.choices_, number());
  is_on_ = false;
  world_.crash(loss);
  all_.links_.forget_sender(host_);
  if (process_) end_process("power cut");
}

std::uint32_t virtual_node::number() const noexcept { return host_ - first_host + 1; }

// Takes down the frames of a program whose driver is dead (3).
void virtual_node::end_process(const char* why) {
  probe_listener* const outer = set_probe_listener(nullptr);
  virtual_outcome of_nobody;
  detail::outcome_listener listener;
  listener.listen(of_nobody, world_);
  const detail::program_runs its_last(&world_.program());
  std::optional<detail::killed_steps> steps(std::in_place, process_->on,
                                            all_.listener_ ? process_.get() : nullptr);
  process_->on.cancel_between_turns(why);
  std::uint64_t turns = 0;
  while (process_->on.run_turn()) {
    const bool is_stuck = process_->driver.is_stuck() || ++turns == afterlife_turns_max;
    if (is_stuck) {
      detail::stderr_sink out;
      detail::print_task_tree(process_->on, out);
      out.flush();
    }
    WEIR_ASSERT(!is_stuck && "a killed program's cleanup waits for what never comes");
  }
  steps.reset();
  process_.reset();
  if (world_.has_processes()) {  // its children have died with it: their frames go, too
    const detail::world_runs ending;
    world_.processes().end_all();
  }
  is_paused_ = false;
  set_probe_listener(outer);
}

time_point virtual_node::next_turn() const noexcept {
  if (!process_ || is_paused_) return time_point::never();
  if (world_.death() != 0) return all_.now();
  return clock_.true_time_of(process_->driver.next_turn());
}

void virtual_node::turn() {
  const machine_decides own(all_.choices_, number());
  ++turns_;
  if (world_.death() != 0) return die();  // while it stood still
  bool goes_on = false;
  {
    detail::outcome_listener listener;
    listener.listen(outcome_, world_);
    const detail::program_runs running(&world_.program());
    goes_on = process_->on.run_turn();
  }
  if (world_.death() != 0) return die();  // of its own signal
  if (process_->driver.is_dead()) {       // an order of the world's: crash_before_disk_operation()
    is_on_ = false;
    all_.links_.forget_sender(host_);
    return end_process("power cut");
  }
  all_.note(host_ + process_->on.stats().steps);
  if (world_.has_processes() && world_.processes().starts() != 0)
    all_.note(world_.processes().steps());
  if (outcome_.reports.size() > reports_max) {
    outcome_.reports.erase(outcome_.reports.begin());
  }
  if (goes_on) return;
  has_ended_ = true;
  outcome_.stats = process_->on.stats();
  detail::note_left_behind(outcome_, world_, false);
  {
    const detail::program_runs its_last(&world_.program());
    process_.reset();
  }
  world_.crash(crash_loss::none);  // its kernel closes what it has left open
}

virtual_nodes::virtual_nodes(choices& decisions)
    : choices_(decisions), links_(*this, clock_, decisions) {}
virtual_nodes::~virtual_nodes() = default;

virtual_node& virtual_nodes::add(node_options options) {
  const auto host = static_cast<host_number>(first_host + nodes_.size());
  nodes_.push_back(std::make_unique<virtual_node>(*this, host, options));
  return *nodes_.back();
}

bool virtual_nodes::deliver(const packet& what) {
  if (listener_) listener_->arrives(*this, what);
  for (const auto& node : nodes_) {
    if (node->host_ != what.to) continue;
    const machine_decides own(choices_, node->number());
    if (!node->is_on_) return false;
    return is_datagram(what.kind) ? node->world_.datagrams().arrive(what)
                                  : node->world_.network().arrive(what);
  }
  return false;  // there is no such machine: silence
}

time_point virtual_nodes::next_turn(std::vector<virtual_node*>* due_at_that) const {
  time_point next = time_point::never();
  for (const auto& node : nodes_) {
    const time_point at = std::max(node->next_turn(), clock_.now());
    if (at > next || at == time_point::never()) continue;
    if (at < next && due_at_that) due_at_that->clear();
    next = at;
    if (due_at_that) due_at_that->push_back(node.get());
  }
  return next;
}

void virtual_nodes::move_to(time_point at) {
  if (at == clock_.now()) return;
  clock_.advance_to(at);
  for (const auto& node : nodes_) node->clock_.follow(at);
}

bool virtual_nodes::is_quiet() const noexcept {
  return links_.next_due() == time_point::never() &&
         std::ranges::all_of(
             nodes_, [](const auto& node) { return node->next_turn() == time_point::never(); });
}

time_point virtual_nodes::next_event() const {
  return std::min(next_turn(nullptr), std::max(links_.next_due(), clock_.now()));
}

bool virtual_nodes::run_until(time_point until) {
  std::uint64_t turns_now = 0;
  std::vector<virtual_node*> due;
  for (;;) {
    due.clear();
    const time_point turn_at = next_turn(&due);
    const time_point packet_at = std::max(links_.next_due(), clock_.now());
    const time_point next = std::min(turn_at, packet_at);
    if (next > until) break;
    if (next > clock_.now()) turns_now = 0;
    move_to(next);  // (2)
    note(static_cast<std::uint64_t>(next.ns));
    if (packet_at <= turn_at) {
      links_.deliver_next();
      continue;
    }
    if (++turns_now > turns_at_once_max) return false;
    ++turns_;
    // In turn is plain: the first one after the last.
    std::size_t plain = 0;
    while (plain < due.size() && due[plain]->host_ <= last_) ++plain;
    if (plain == due.size()) plain = 0;
    if (due.size() > 1)
      plain = (plain + choices_.below(choice_kind::node, due.size())) % due.size();
    last_ = due[plain]->host_;
    due[plain]->turn();
  }
  if (until != time_point::never()) move_to(std::max(until, clock_.now()));
  return true;
}

}  // namespace weir
