#include <weir/sim/virtual_world.hpp>

#include <weir/base/error.hpp>
#include <weir/base/probe.hpp>
#include <weir/io/detail/file_offset.hpp>
#include <weir/sim/virtual_driver.hpp>
#include <weir/sim/virtual_processes.hpp>

#include <errno.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <optional>
#include <string>
#include <utility>

namespace weir {

namespace {
constinit std::atomic<std::uint64_t> worlds_made{0};
}  // namespace

virtual_world::virtual_world(virtual_options options)
    : number_(worlds_made.fetch_add(1, std::memory_order_relaxed) + 1),
      options_(options),
      program_{.may_have_threads = options.threads},
      own_choices_(options.seed),
      choices_(options.decisions ? *options.decisions : own_choices_),
      own_schedule_(choices_),
      disk_(clock_, {choices_, choice_kind::disk}),
      network_(*this, disk_, {choices_, choice_kind::network},
               {.sizes = {.socket_buffer = options.socket_buffer_max,
                          .pipe_buffer = options.socket_buffer_max},
                .draws_sizes = options.draws_sizes,
                .ports = options.ports,
                .time_wait = options.time_wait}),
      datagrams_(*this, disk_, {choices_, choice_kind::network}, options.socket_buffer_max,
                 options.ports) {
  own_schedule_.restart(strategy::random);
  // A machine may be at work for weeks: who leads it sees when no time passes.
  if (options_.is_led) own_schedule_.limit_steps(UINT64_MAX);
}
virtual_world::~virtual_world() { processes_.reset(); }  // they use all else

virtual_processes& virtual_world::processes() {
  if (!processes_) processes_ = std::make_unique<virtual_processes>(*this);
  return *processes_;
}

std::size_t virtual_world::open_handles() const noexcept {
  return network_.open_sockets() + datagrams_.open_sockets() + watches_.open_watchers() +
         disk_.open_files();
}

std::vector<std::string> virtual_world::open_names() const {
  std::map<io_handle, std::string> all;
  network_.name_open(all);
  datagrams_.name_open(all);
  watches_.name_open(all);
  disk_.name_open(all);
  std::vector<std::string> names;
  for (auto& [handle, text] : all) names.push_back(std::move(text));
  return names;
}

bool virtual_world::is_untouched() const noexcept {
  return !was_given_out_ && clock_.now() == virtual_clock::start && next_handle_ == first_handle &&
         operations_ == 0 && crashes_ == 0 && !processes_;
}

scheduling_policy* virtual_world::begin_loop() noexcept {
  death_ = 0;
  signals_.end_all(EIO);  // a program begins that has heard of none
  if (options_.schedule) {
    if (options_.is_led) options_.schedule->begin_loop();  // a machine's program begins (again)
    return options_.schedule;
  }
  if (!options_.shuffle) return nullptr;
  own_schedule_.begin_loop();
  return &own_schedule_;
}

void virtual_world::raise_signal(int number) {
  if (signals_.is_heard(number)) return signals_.raise(number);
  const bool is_survived =
      virtual_signals::is_ignored_by_default(number) || virtual_signals::stops_by_default(number);
  if (is_survived || death_ != 0) return;  // the first one counts
  death_ = number;
  if (on_death && !options_.is_led) on_death(on_deadlock_context, number);
}

virtual_terminal virtual_world::make_terminal(int rows, int columns) {
  io_handle ends[2];
  const int outcome = network_.make_terminal(ends, rows, columns);
  if (outcome != 0) raise(error::from_os(-outcome, "make a virtual terminal"));
  return {.user = ends[0], .program = ends[1]};
}

void virtual_world::resize_terminal(const virtual_terminal& of, int rows, int columns) {
  if (network_.set_terminal_size(of.program, rows, columns) == 0) raise_signal(SIGWINCH);
}

void virtual_world::add_fault(virtual_fault fault) {
  WEIR_ASSERT(fault.nth > 0);
  faults_.push_back({.fault = fault, .first = count_of(fault.op) + fault.nth});
}

void virtual_world::crash_before_disk_operation(std::uint64_t nth, crash_loss loss) noexcept {
  crash_at_ = nth == 0 ? 0 : disk_operations_ + nth;
  crash_loss_ = loss;
}

void virtual_world::crash(crash_loss loss) {
  ++crashes_;
  crash_at_ = 0;
  network_.crash(loss != crash_loss::none);
  datagrams_.crash();
  watches_.crash();
  signals_.end_all(EIO);
  if (processes_) processes_->crash();
  shared_.clear();
  offsets_.clear();
  disk_.crash(loss);
}

int virtual_world::begin(const io_request& request) {
  ++operations_;
  const std::uint64_t number = ++counts_[static_cast<std::size_t>(request.op)];
  part_max_ = -1;
  for (const order_to_fail& one : faults_) {
    if (one.fault.op != request.op || number < one.first || number - one.first >= one.fault.count) {
      continue;
    }
    ++faults_struck_;
    if (one.fault.partial >= 0) {
      part_max_ = one.fault.partial;
      return 0;
    }
    if (request.op == io_op::sync) disk_.lose_sync(request.handle);
    return one.fault.code;
  }
  return fall_ill(request);
}

int virtual_world::fall_ill(const io_request& request) {
  double chance = 0;
  if (request.op == io_op::read_at) chance = illness_.read_error;
  if (request.op == io_op::write_at) chance = illness_.write_error;
  if (request.op == io_op::sync || request.op == io_op::sync_dir) chance = illness_.sync_error;
  if (!choices_.chance(choice_kind::disk, chance)) return 0;
  ++faults_struck_;
  if (request.op == io_op::sync) disk_.lose_sync(request.handle);
  return EIO;
}

// What a disk does wrong without a word.
void virtual_world::spoil(io_handle handle, std::string& data, std::uint64_t& offset) {
  std::optional<std::uint64_t> wrong;
  if (choices_.chance(choice_kind::disk, illness_.corrupt_write)) {
    ++faults_struck_;
    wrong = choices_.below(choice_kind::disk, data.size());
  }
  if (choices_.chance(choice_kind::disk, illness_.lost_write)) {
    ++faults_struck_;
    if (disk_.is_for_append(handle)) {
      data.assign(data.size(), '\0');
    } else {
      offset += virtual_disk::page_size;
    }
  }
  if (wrong) data[*wrong] ^= 1;
}

std::size_t virtual_world::part_of(std::size_t count) {
  if (part_max_ >= 0)
    count = std::min(count, static_cast<std::size_t>(std::max<std::int64_t>(part_max_, 1)));
  if (count > 1 && choices_.chance(choice_kind::transfer, options_.short_chance)) {
    count -= static_cast<std::size_t>(choices_.below(choice_kind::transfer, count));
  }
  return count;
}

duration virtual_world::draw_latency() {
  return duration(choices_.between(choice_kind::transfer, options_.latency_min.ns,
                                   std::max(options_.latency_min.ns, options_.latency_max.ns)));
}

void virtual_world::finished(io_request& request) {
  static_cast<virtual_driver*>(request.driver_data)->schedule(request);
}

// A direct transfer is of whole sectors, and one that is not is refused as a whole.
std::size_t virtual_world::part_of_file(io_handle handle, std::size_t count) {
  constexpr std::size_t sector = virtual_disk::sector_size;
  if (!disk_.is_direct(handle)) return part_of(count);
  return count % sector != 0 ? count : std::max(part_of(count) / sector, std::size_t{1}) * sector;
}

std::uint64_t virtual_world::place_of(const io_request& request) const {
  if (request.offset < own_offset) return request.offset;
  const auto found = offsets_.find(request.handle);
  return found == offsets_.end() ? 0 : found->second;
}

// Only what has happened moves it: a write that was cancelled, or whose process died before, leaves
// no hole. After an append it is at the end.
std::int64_t virtual_world::moved_on(const io_request& request, std::int64_t count) {
  if (request.offset < own_offset || count <= 0) return count;
  std::uint64_t& position = offsets_[request.handle];
  position += static_cast<std::uint64_t>(count);
  file_status now;
  const bool is_append = request.op != io_op::read_at && disk_.is_for_append(request.handle);
  if (is_append && disk_.status_of(request.handle, now) == 0) position = now.size;
  return count;
}

std::int64_t virtual_world::read(const io_request& request) {
  // A kernel asks this of all that was asked for, however much of it is transferred then.
  if (detail::is_beyond_files(place_of(request), request.size)) return -EINVAL;
  const std::size_t size = request.size == 0 ? 0 : part_of_file(request.handle, request.size);
  return moved_on(request, disk_.read_at(request.handle, static_cast<char*>(request.memory), size,
                                         place_of(request)));
}

std::int64_t virtual_world::write(const io_request& request) {
  std::string whole;
  std::string_view data;
  if (request.slice_count == 1) {
    data = {static_cast<const char*>(request.slices[0].data), request.slices[0].size};
  } else {
    for (std::size_t i = 0; i < request.slice_count; ++i) {
      whole.append(static_cast<const char*>(request.slices[i].data), request.slices[i].size);
    }
    data = whole;
  }
  if (detail::is_beyond_files(place_of(request), data.size())) return -EINVAL;
  if (!data.empty()) data = data.substr(0, part_of_file(request.handle, data.size()));
  if (data.empty() || (illness_.corrupt_write <= 0 && illness_.lost_write <= 0)) {
    return moved_on(request, disk_.write_at(request.handle, data, place_of(request)));
  }
  std::string spoiled(data);
  std::uint64_t offset = place_of(request);
  spoil(request.handle, spoiled, offset);
  return moved_on(request, disk_.write_at(request.handle, spoiled, offset));
}

// The second half of a durable write: until then a crash may tear or lose what it wrote.
std::int64_t virtual_world::sync_written(const io_request& request, std::int64_t written) {
  io_request sync;
  sync.op = io_op::sync;
  sync.flags = 1;  // the data
  sync.handle = request.handle;
  sync.offset = request.offset;
  sync.size = static_cast<std::size_t>(written);
  file_status now;
  if (disk_.is_for_append(request.handle) && disk_.status_of(request.handle, now) == 0)
    sync.offset = now.size - sync.size;
  const int code = begin(sync);
  if (!faults_.empty()) sometimes(code != 0, "a planned fault hits the sync of a durable write");
  if (code != 0) return -code;
  const std::int64_t synced = run_on_disk(sync);
  return synced < 0 ? synced : written;
}

std::int64_t virtual_world::run_on_disk(io_request& request) {
  ++disk_operations_;
  if (crash_at_ != 0 && disk_operations_ >= crash_at_) {
    crash(crash_loss_);
    return -EIO;
  }
  switch (request.op) {
    case io_op::open: {
      if (!has_room()) return -EMFILE;
      const io_handle handle = new_handle();
      const int error = disk_.open(request.path, request.flags, handle, request.handle);
      return error ? error : handle;
    }
    case io_op::read_at:
      return read(request);
    case io_op::write_at:
      return write(request);
    case io_op::sync:
      if (request.size == 0) return disk_.sync(request.handle);
      return disk_.sync_range(request.handle, request.offset, request.size);
    case io_op::preallocate:
      return disk_.preallocate(request.handle, request.offset, request.size);
    case io_op::truncate:
      return disk_.truncate(request.handle, request.offset);
    case io_op::rename:
      return disk_.rename(request.path, request.path_to, request.handle);
    case io_op::remove:
      return disk_.remove(request.path, (request.flags & 1) != 0, request.handle);
    case io_op::make_dir:
      return disk_.make_dir(request.path);
    case io_op::sync_dir:
      if (request.handle >= 0) return disk_.sync_dir(request.handle);
      return disk_.sync_dir(request.path);
    default:
      return -EINVAL;
  }
}

int virtual_world::close(io_handle handle, const virtual_driver& by) {
  if (const auto found = shared_.find(handle); found != shared_.end()) {
    if (--found->second == 0) shared_.erase(found);
    network_.abandon(handle, &by);
    return 0;
  }
  if (datagrams_.has(handle)) return datagrams_.close(handle);
  if (watches_.has(handle)) return watches_.close(handle);
  offsets_.erase(handle);
  return network_.has(handle) ? network_.close(handle) : disk_.close(handle);
}

void virtual_world::write_now(io_handle handle, std::string_view text) {
  if (disk_.has(handle)) {
    io_request request;
    request.handle = handle;
    request.offset = own_offset;
    moved_on(request, disk_.write_at(handle, text, place_of(request)));
    return;
  }
  while (!text.empty()) {
    const io_slice rest{text.data(), text.size()};
    io_request request;
    request.op = io_op::send;
    request.handle = handle;
    request.slices = &rest;
    request.slice_count = 1;
    if (!network_.start(request)) network_.cancel(request);
    if (request.outcome <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(request.outcome));
  }
}

}  // namespace weir
