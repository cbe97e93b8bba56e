#include <weir/sim/virtual_driver.hpp>

#include <weir/base/assert.hpp>

#include <errno.h>

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

virtual_driver::virtual_driver(virtual_options options)
    : own_(std::make_unique<virtual_world>(options)), world_(*own_), epoch_(world_.crashes()) {}

virtual_driver::virtual_driver(virtual_world& world) noexcept
    : world_(world), epoch_(world.crashes()) {}

virtual_driver::~virtual_driver() { WEIR_ASSERT(due_.empty() && "a driver outlives its requests"); }

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
  if (is_disk_operation(request.op) || request.op == io_op::run_blocking) {
    if (request.op == io_op::run_blocking || completes_late()) {
      request.driver_state = state_to_run;
      const duration latency = world_.draw_latency();
      schedule_at(request, now() + (is_durable_write(request) ? latency / 2 : latency));
      return false;
    }
    request.outcome = run(request);
    if (is_durable_write(request) && request.outcome > 0) {
      request.outcome = world_.sync_written(request, request.outcome);
    }
    return true;
  }
  if (const int code = world_.begin(request); code != 0) {
    request.outcome = -code;
    return finish(request);
  }
  switch (request.op) {
    case io_op::close:
      drop_file_requests(request.handle);
      request.outcome = world_.close(request.handle);
      return finish(request);
    case io_op::wait_signal:
      return world_.wait_signal(request) && finish(request);
    default:
      if (world_.datagrams().has(request.handle))
        return world_.datagrams().start(request) && finish(request);
      return world_.network().start(request) && finish(request);
  }
}

bool virtual_driver::completes_late() {
  return world_.options().latency_max.ns > 0 || world_.draws_queued();
}

// True: complete at once; false: wait() will say so.
bool virtual_driver::finish(io_request& request) {
  if (!completes_late()) return true;
  schedule(request);
  return false;
}

void virtual_driver::schedule(io_request& request) {
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
  if (request.op != io_op::run_blocking) return world_.run_on_disk(request);
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
                          world_.forget_signal(request);
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
    }
    if (request->driver_state == state_to_sync) run_second_half(*request);
    const detail::program_runs called(caller_);
    request->on_complete(*request);
    has_delivered = true;
  }
  return has_delivered;
}

void virtual_driver::wait(time_point until) noexcept {
  const call asked(*this);
  asked_until_ = now();
  if (deliver() || wakes_.exchange(0) != 0) return;
  const time_point next = due_.empty() ? time_point::never() : due_.begin()->first.at;
  const time_point target = next < until ? next : until;
  if (is_dead()) {
    is_stuck_ = target == time_point::never();
    if (!is_stuck_ && target > afterlife_) afterlife_ = target;
    deliver();
    return;
  }
  if (world_.options().is_led) {
    asked_until_ = until;
    return;
  }
  if (target == time_point::never()) {
    if (!can_be_woken()) return;  // the loop sees that nothing can happen
    wakes_.wait(0);
    wakes_.exchange(0);
    return;
  }
  if (target > now()) world_.clock().advance_to(target);
  deliver();
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
  return is_dead() ? -EIO : world_.network().make_socket(family);
}

io_handle virtual_driver::make_listener(raw_address& address,
                                        const listen_options& options) noexcept {
  const call asked(*this);
  return is_dead() ? -EIO : world_.network().make_listener(address, options);
}

io_handle virtual_driver::make_datagram_socket(int family, raw_address& address,
                                               const listen_options& options) noexcept {
  const call asked(*this);
  return is_dead() ? -EIO : world_.datagrams().make_socket(family, address, options);
}

int virtual_driver::make_pipe(io_handle (&ends)[2]) noexcept {
  const call asked(*this);
  return is_dead() ? -EIO : world_.network().make_pipe(ends);
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
  world_.close(handle);
}

}  // namespace weir
