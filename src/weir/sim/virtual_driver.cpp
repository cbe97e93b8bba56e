#include <weir/sim/virtual_driver.hpp>

#include <weir/base/assert.hpp>
#include <weir/core/detail/world_text.hpp>
#include <weir/core/loop.hpp>
#include <weir/sim/internal/no_end.hpp>
#include <weir/sim/virtual_processes.hpp>

#include <errno.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <new>
#include <string>
#include <utility>
#include <vector>

namespace weir {

namespace {

// io_request::driver_state
enum : std::uint32_t {
  state_waiting = 1,  // at a socket or for a signal
  state_happened,     // the outcome is set, the completion is due later
  state_to_run,       // it happens when it completes
  state_to_sync,      // a durable write: what it wrote is synced when it completes
};

bool is_disk_operation(io_op op) noexcept { return op >= io_op::open && op <= io_op::sync_dir; }
bool is_on_the_pool(io_op op) noexcept {
  return op == io_op::run_blocking || op == io_op::start_child;
}
bool is_durable_write(const io_request& request) noexcept {
  return request.op == io_op::write_at && request.flags == 1;
}

}  // namespace

// While the driver answers, the world's code runs; what it calls back is the program's again.
class virtual_driver::call : public detail::world_runs {
 public:
  explicit call(virtual_driver& of) noexcept
      : of_(of), outer_(std::exchange(of.caller_, before())) {}
  call(const call&) = delete;
  call& operator=(const call&) = delete;
  ~call() { of_.caller_ = outer_; }

 private:
  virtual_driver& of_;
  const detail::simulated_program* outer_;  // what is called back may call the driver itself
};

// Those that live, so that whoever has the address of one that may have ended can ask its name.
class virtual_driver::live_list {
 public:
  static void add(virtual_driver& one) noexcept {
    const std::lock_guard guard(lock());
    one.next_live_ = std::exchange(head_, &one);
    detail::put_world.store(&put, std::memory_order_relaxed);
  }
  static void remove(const virtual_driver& one) noexcept {
    const std::lock_guard guard(lock());
    virtual_driver** at = &head_;
    while (*at != &one) at = &(*at)->next_live_;
    *at = one.next_live_;
  }

 private:
  static std::mutex& lock() noexcept {
    static constinit std::mutex of_all;
    return of_all;
  }
  static void put(const driver* io, detail::text_sink& out) noexcept {
    const std::lock_guard guard(lock());
    for (const virtual_driver* at = head_; at; at = at->next_live_) {
      if (at == io) at->put_label(out);
    }
  }

  static constinit virtual_driver* head_;
};
constinit virtual_driver* virtual_driver::live_list::head_ = nullptr;

virtual_driver::virtual_driver(virtual_options options)
    : own_(std::make_unique<virtual_world>(options)),
      world_(*own_),
      label_{.seed = options.seed},
      epoch_(world_.crashes()) {
  live_list::add(*this);
}

virtual_driver::virtual_driver(virtual_world& world) noexcept
    : world_(world), label_{.seed = world.options().seed}, epoch_(world.crashes()) {
  live_list::add(*this);
}

virtual_driver::virtual_driver(virtual_world& world, detail::process_part& part) noexcept
    : world_(world), label_{.seed = world.options().seed}, part_(&part), epoch_(world.crashes()) {
  live_list::add(*this);
}

virtual_driver::~virtual_driver() {
  WEIR_ASSERT(due_.empty() && "a driver outlives its requests");
  live_list::remove(*this);
}

void virtual_driver::put_label(detail::text_sink& out) const noexcept {
  out.put("world ");
  out.put_number(world_.number());
  out.put(" (");
  if (label_.machine) {
    out.put("machine '");
    out.put(label_.machine);
    out.put("'");
  } else if (label_.run != 0) {
    out.put("run ");
    out.put_number(label_.run);
    out.put(label_.strategy ? ", " : "");
    out.put(label_.strategy ? label_.strategy : "");
    if (label_.seed != 0) out.put(":");
  } else {
    out.put("seed ");
  }
  if (label_.seed != 0 || (label_.run == 0 && !label_.machine)) out.put_number(label_.seed);
  out.put(is_dead() ? "), which has ended," : ")");
}

bool virtual_driver::submit(io_request& request) noexcept {
  const call asked(*this);
  request.driver_data = this;
  request.driver_state = state_waiting;
  try {
    return start(request);
  } catch (const std::bad_alloc&) {
    request.outcome = -ENOMEM;  // as from a kernel without memory
    return true;
  }
}

bool virtual_driver::start(io_request& request) {
  if (is_dead()) {
    request.outcome = -EIO;
    return true;
  }
  if (is_disk_operation(request.op) || is_on_the_pool(request.op)) {
    if (is_on_the_pool(request.op) || completes_late()) {
      request.driver_state = state_to_run;
      const duration latency = world_.draw_latency();
      schedule_at(request, now() + (is_durable_write(request) ? latency / 2 : latency));
      return false;
    }
    request.outcome = run(request);
    if (is_durable_write(request) && request.outcome > 0) {
      request.outcome = world_.sync_written(request, request.outcome);
    }
    hold_outcome(request);
    return true;
  }
  if (const int code = world_.begin(request); code != 0) {
    request.outcome = -code;
    return finish(request);
  }
  switch (request.op) {
    case io_op::close:
      drop_file_requests(request.handle);
      if (part_) part_->handles.erase(request.handle);
      request.outcome = world_.close(request.handle, *this);
      return finish(request);
    case io_op::wait_signal:
      return signals().wait(request) && finish(request);
    default:
      if (world_.datagrams().has(request.handle))
        return world_.datagrams().start(request) && finish(request);
      if (world_.watches().has(request.handle))
        return world_.watches().start(request) && finish(request);
      return world_.network().start(request) && finish(request);
  }
}

bool virtual_driver::completes_late() {
  return world_.options().latency_max.ns > 0 || world_.draws_queued();
}

// True: complete at once; false: wait() will say so.
bool virtual_driver::finish(io_request& request) {
  if (completes_late()) {
    schedule(request);
    return false;
  }
  hold_outcome(request);
  return true;
}

void virtual_driver::schedule(io_request& request) {
  hold_outcome(request);
  request.driver_state = state_happened;
  schedule_at(request, now() + world_.draw_latency());
}

void virtual_driver::schedule_at(io_request& request, time_point at) {
  const due_key key{.at = at, .number = ++scheduled_};
  if (const auto found = keys_.find(&request); found != keys_.end()) due_.erase(found->second);
  keys_[&request] = key;
  due_[key] = &request;
}

std::int64_t virtual_driver::run(io_request& request) {
  if (is_dead()) return -EIO;
  if (const int code = world_.begin(request); code != 0) return -code;
  if (!is_on_the_pool(request.op)) return world_.run_on_disk(request);
  const detail::program_runs called(caller_);
  request.function(request.memory);
  return 0;
}

// A durable write is in its file for a while before it is on the platter, as with a real disk.
void virtual_driver::run_first_half(io_request& request) {
  request.outcome = run(request);
  request.driver_state = request.outcome > 0 ? state_to_sync : state_happened;
  world_.half_written_ += request.outcome > 0 ? 1 : 0;
  schedule_at(request, now() + world_.draw_latency() / 2);
}

void virtual_driver::run_second_half(io_request& request) {
  --world_.half_written_;
  request.driver_state = state_happened;
  request.outcome = is_dead() ? -EIO : world_.sync_written(request, request.outcome);
}

void virtual_driver::cancel(io_request& request) noexcept {
  const call asked(*this);
  if (request.driver_state == state_to_sync) return;  // a kernel's worker is not stopped either
  const bool is_in_time = request.driver_state == state_to_run ||
                          world_.network().cancel(request) || world_.datagrams().cancel(request) ||
                          world_.watches().cancel(request) || signals().forget(request);
  if (is_in_time) {
    request.outcome = -ECANCELED;
  } else if (!keys_.contains(&request)) {
    return;  // its completion has been delivered
  }
  request.driver_state = state_happened;
  schedule_at(request, now());
}

// Operations on a file that have not happened when it is closed.
void virtual_driver::drop_file_requests(io_handle handle) {
  for (auto& [key, request] : due_) {
    if (request->handle != handle) continue;
    if (request->driver_state == state_to_sync) run_second_half(*request);
    if (request->driver_state != state_to_run) continue;
    request->outcome = -ECANCELED;
    request->driver_state = state_happened;
  }
}

// Delivers what is due; what is scheduled meanwhile is left for the next call.
bool virtual_driver::deliver() {
  const std::uint64_t last = scheduled_;
  bool has_delivered = false;
  while (!due_.empty()) {
    const auto [key, request] = *due_.begin();
    if (key.at > now() || key.number > last) break;
    due_.erase(due_.begin());
    keys_.erase(request);
    if (request->driver_state == state_to_run && is_durable_write(*request)) {
      run_first_half(*request);
      continue;
    }
    if (request->driver_state == state_to_run) {
      request->driver_state = state_happened;  // it can't be cancelled by what it runs
      request->outcome = run(*request);
      hold_outcome(*request);
    }
    if (request->driver_state == state_to_sync) run_second_half(*request);
    if (request->op == io_op::wait_signal) signals().deliver(*request);
    const detail::program_runs called(caller_);
    request->on_complete(*request);
    has_delivered = true;
  }
  return has_delivered;
}

void virtual_driver::wait(time_point until) noexcept {
  const call asked(*this);
  asked_until_ = now();
  is_stuck_ = false;
  const virtual_options& how = world_.options();
  loop* const asks = how.schedule || how.shuffle || how.is_led ? nullptr : loop::current();
  if (asks) detail::end_long_run(*asks, world_.operations_);
  if (tell_turn()) return;
  const bool leads = !part_ && world_.has_processes();
  if (leads) world_.processes().run_due();
  if (deliver() || wakes_.exchange(0) != 0) return;
  const time_point target = std::min(next_completion(), until);
  if (std::min(target, next_child_turn()) > now() && tell_quiet()) return;
  if (is_dead()) {
    is_stuck_ = target == time_point::never();
    if (!is_stuck_ && target > afterlife_) afterlife_ = target;
    deliver();
    return;
  }
  if (is_led()) {
    asked_until_ = until;
    return;
  }
  if (leads && pass_time(until)) return;
  if (target == time_point::never()) {
    if (!can_be_woken()) return;  // the loop sees that nothing can happen
    wakes_.wait(0);
    wakes_.exchange(0);
    return;
  }
  if (target > now()) world_.clock().advance_to(target);
  deliver();
}

// Lets time pass and child processes have their turns, until there is something to deliver, the
// time has come, or nothing would ever happen again. False: only the last.
bool virtual_driver::pass_time(time_point until) {
  std::uint64_t turns = 0;
  for (;;) {
    const time_point next = std::min({next_completion(), next_child_turn(), until});
    if (next == time_point::never()) return false;
    if (next > now()) {
      if (tell_quiet()) return true;
      world_.clock().advance_to(next);
      turns = 0;
    }
    world_.processes().run_due();
    if (deliver() || now() >= until || is_dead() || wakes_.exchange(0) != 0) return true;
    WEIR_ASSERT(++turns < virtual_processes::turns_at_once_max &&
                "a child process takes turns, and no time passes");
  }
}

void virtual_driver::listen_for_quiet(detail::quiet_listener& one) noexcept {
  WEIR_ASSERT(!is_led() &&
              "settle() and advance() are for who moves the clock: not for machines of "
              "virtual_nodes and child processes");
  quiet_listeners_.push_back(one);
}

bool virtual_driver::tell_turn() noexcept {
  bool goes_on = false;
  for (auto at = quiet_listeners_.begin(); at != quiet_listeners_.end();) {
    detail::quiet_listener& one = *at;
    ++at;
    goes_on = one.heard_turn() || goes_on;
  }
  return goes_on;
}

bool virtual_driver::tell_quiet() noexcept {
  bool has_told = false;
  for (auto at = quiet_listeners_.begin(); at != quiet_listeners_.end();) {
    detail::quiet_listener& one = *at;
    ++at;
    if (!one.is_due) continue;
    one.unlink();
    one.heard_quiet();
    has_told = true;
  }
  return has_told;
}

time_point virtual_driver::next_child_turn() const noexcept {
  return part_ || !world_.has_processes() ? time_point::never() : world_.processes().next_turn();
}

time_point virtual_driver::next_turn() const noexcept {
  return std::min({next_completion(), asked_until_, next_child_turn()});
}

bool virtual_driver::is_waiting_for_io() const noexcept {
  for (const detail::quiet_listener& one : quiet_listeners_) {
    if (one.is_due) return true;
  }
  return !due_.empty() || next_child_turn() != time_point::never();
}

// What a child process has opened is closed at its end.
void virtual_driver::hold(io_handle handle) {
  if (part_ && handle >= 0) part_->handles.insert(handle);
}

void virtual_driver::hold_outcome(const io_request& request) {
  if ((request.op == io_op::accept || request.op == io_op::open) && request.outcome >= 0)
    hold(static_cast<io_handle>(request.outcome));
}

bool virtual_driver::end_deadlock(loop& on) noexcept {
  const call asked(*this);
  return world_.on_deadlock && world_.on_deadlock(world_.on_deadlock_context, on);
}

void virtual_driver::wake() noexcept {
  wakes_.fetch_add(1);
  wakes_.notify_one();
}

io_handle virtual_driver::make_socket(int family) noexcept {
  const call asked(*this);
  const io_handle made = is_dead() ? -EIO : world_.network().make_socket(family);
  hold(made);
  return made;
}

io_handle virtual_driver::make_listener(raw_address& address,
                                        const listen_options& options) noexcept {
  const call asked(*this);
  const io_handle made = is_dead() ? -EIO : world_.network().make_listener(address, options);
  hold(made);
  return made;
}

io_handle virtual_driver::make_datagram_socket(int family, raw_address& address,
                                               const listen_options& options) noexcept {
  const call asked(*this);
  const io_handle made =
      is_dead() ? -EIO : world_.datagrams().make_socket(family, address, options);
  hold(made);
  return made;
}

int virtual_driver::make_pipe(io_handle (&ends)[2]) noexcept {
  const call asked(*this);
  const int outcome = is_dead() ? -EIO : world_.network().make_pipe(ends);
  if (outcome != 0) return outcome;
  for (const io_handle one : ends) hold(one);
  return 0;
}

int virtual_driver::adopt_stream(io_handle handle) noexcept {
  const call asked(*this);
  return world_.network().has(handle) || world_.watches().has(handle) ? 0 : -EBADF;
}

int virtual_driver::terminal_size_of(io_handle handle, int& rows, int& columns) noexcept {
  const call asked(*this);
  return is_dead() ? -EIO : world_.network().terminal_size_of(handle, rows, columns);
}

int virtual_driver::pid() const noexcept {
  return part_ ? part_->pid : virtual_processes::first_pid;
}

std::vector<std::string> virtual_driver::our_environment() const {
  return world_.processes().environment_of(pid());
}

started_child virtual_driver::start_child(const child_plan& plan) noexcept {
  const call asked(*this);
  if (is_dead()) return {.failure = EIO};
  try {
    started_child made = world_.processes().start(pid(), plan);
    hold(made.end);
    return made;
  } catch (const std::bad_alloc&) {
    return {.failure = ENOMEM};
  }
}

child_state virtual_driver::look_at_child(int pid, bool reaps, exit_status& out) noexcept {
  const call asked(*this);
  return world_.processes().look(this->pid(), pid, reaps, out);
}

void virtual_driver::reap_child(int pid) noexcept {
  const call asked(*this);
  world_.processes().reap(this->pid(), pid);
}

bool virtual_driver::signal_child(int pid, io_handle /*end*/, int number) noexcept {
  const call asked(*this);
  return !is_dead() && world_.processes().send_signal(pid, number);
}

bool virtual_driver::signal_group(int pid, int number) noexcept {
  const call asked(*this);
  return !is_dead() && world_.processes().send_to_group(pid, number);
}

io_handle virtual_driver::make_watcher() noexcept {
  const call asked(*this);
  const io_handle made = is_dead() ? -EIO : world_.watches().make_watcher();
  hold(made);
  return made;
}

int virtual_driver::watch(io_handle watcher, const char* path, std::uint32_t mask) noexcept {
  const call asked(*this);
  return is_dead() ? -EIO : world_.watches().watch(watcher, path, mask);
}

void virtual_driver::unwatch(io_handle watcher, int number) noexcept {
  const call asked(*this);
  if (!is_dead()) world_.watches().unwatch(watcher, number);
}

std::size_t virtual_driver::unread_of(io_handle watcher) noexcept {
  return world_.watches().unread_of(watcher);
}

// There are no threads: who goes on meets a watcher that is closed.
io_handle virtual_driver::keep(io_handle watcher) noexcept { return watcher; }
void virtual_driver::drop(io_handle /*kept*/) noexcept {}

int virtual_driver::list_folder(const char* path, void (*visit)(void*, const char*, bool),
                                void* context) {
  const call asked(*this);
  if (is_dead()) return -EIO;
  std::vector<std::string> names;
  const int outcome = world_.disk().list_dir(path, names, world_.options().shuffle);
  for (const std::string& name : names) {
    file_status one;
    world_.disk().status_of((std::string(path) + '/' + name).c_str(), one);
    const detail::program_runs called(caller_);
    visit(context, name.c_str(), one.is_directory);
  }
  return outcome;
}

int virtual_driver::address_of(io_handle handle, bool peer, raw_address& out) noexcept {
  const call asked(*this);
  if (world_.datagrams().has(handle)) return world_.datagrams().address_of(handle, peer, out);
  return world_.network().address_of(handle, peer, out);
}

int virtual_driver::set_option(io_handle handle, int level, int option, int value) noexcept {
  const call asked(*this);
  if (world_.datagrams().has(handle))
    return world_.datagrams().set_option(handle, level, option, value);
  return world_.network().set_option(handle, level, option, value);
}

int virtual_driver::status_of(const char* path, file_status& out) noexcept {
  const call asked(*this);
  return is_dead() ? -EIO : world_.disk().status_of(path, out);
}

int virtual_driver::status_of(io_handle handle, file_status& out) noexcept {
  const call asked(*this);
  return world_.disk().status_of(handle, out);
}

int virtual_driver::list_dir(const char* path, void (*visit)(void*, const char* name),
                             void* context) noexcept {
  const call asked(*this);
  if (is_dead()) return -EIO;
  std::vector<std::string> names;
  if (const int error = world_.disk().list_dir(path, names, world_.options().shuffle); error != 0) {
    return error;
  }
  const detail::program_runs called(caller_);
  for (const std::string& name : names) visit(context, name.c_str());
  return 0;
}

int virtual_driver::lock_file(io_handle handle) noexcept {
  const call asked(*this);
  return is_dead() ? -EIO : world_.disk().lock(handle);
}

void virtual_driver::close_now(io_handle handle) noexcept {
  const call asked(*this);
  if (is_dead()) return;
  drop_file_requests(handle);
  if (part_) part_->handles.erase(handle);
  world_.close(handle, *this);
}

}  // namespace weir
