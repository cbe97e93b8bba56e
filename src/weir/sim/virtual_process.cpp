#include <weir/sim/virtual_process.hpp>

#include <weir/core/as_result.hpp>
#include <weir/core/sleep.hpp>
#include <weir/io/io_wait.hpp>
#include <weir/io/socket.hpp>
#include <weir/sim/virtual_processes.hpp>
#include <weir/sim/virtual_world.hpp>

#include <signal.h>

#include <cerrno>
#include <utility>

namespace weir {

namespace {
constexpr std::size_t receive_max = 16 * 1024;

detail::slice_cursor cursor_over(std::string_view data) noexcept {
  return detail::slice_cursor(io_slice{data.data(), data.size()});
}

// A file's own calls refuse own_offset, which is beyond every file; what shares its place goes on
// there.
class read_on_wait final : public detail::io_wait<read_on_wait, std::size_t> {
 public:
  read_on_wait(io_handle from, char* into, std::size_t length) noexcept : io_wait(kind_) {
    op = io_op::read_at;
    handle = from;
    offset = virtual_world::own_offset;
    memory = into;
    size = length;
  }
  result<std::size_t> take() noexcept {
    if (outcome == -EBADF) return fail(error(errc::permission_denied, "read", place));
    if (outcome < 0) return fail(failed("read"));
    return static_cast<std::size_t>(outcome);
  }

 private:
  static const detail::wait_kind kind_;
};
constinit const detail::wait_kind read_on_wait::kind_{"read", &read_on_wait::leave,
                                                      &read_on_wait::describe};

class write_on_wait final : public detail::io_wait<write_on_wait, void> {
 public:
  static constexpr auto when_cancelled = cancel_safety::partial;
  write_on_wait(io_handle to, std::string_view data) noexcept
      : io_wait(kind_), left_(cursor_over(data)) {
    op = io_op::write_at;
    handle = to;
    offset = virtual_world::own_offset;
  }
  bool try_now() noexcept {
    if (left_.is_empty()) return true;
    left_.load(*this);
    return io_wait::try_now();
  }
  bool goes_on() noexcept {
    if (outcome == 0) outcome = -EIO;
    if (outcome < 0) return false;
    left_.advance(static_cast<std::size_t>(outcome));
    left_.load(*this);
    return !left_.is_empty();
  }
  result<void> take() noexcept {
    if (outcome == -EBADF) return fail(error(errc::permission_denied, "write", place));
    if (outcome < 0) return fail(failed("write"));
    return {};
  }

 private:
  static const detail::wait_kind kind_;
  detail::slice_cursor left_;
};
constinit const detail::wait_kind write_on_wait::kind_{"write", &write_on_wait::leave,
                                                       &write_on_wait::describe};
}  // namespace

// Both are cancel points also where nothing is to wait for: else a program that reads or writes in
// a loop could not be ended.
task<bytes> virtual_input::receive() {
  co_await checkpoint();
  const std::shared_ptr<detail::process_stream> from = from_;
  if (!from) co_return bytes{};
  if (!from->is_file) co_return co_await detail::receive_wait(from->handle);
  std::string piece(receive_max, '\0');
  piece.resize(co_await read_on_wait(from->handle, piece.data(), piece.size()));
  co_return bytes::copy_of(piece);
}

task<> virtual_output::send(std::string_view data) {
  co_await checkpoint();
  const std::shared_ptr<detail::process_stream> to = to_;
  if (!to) co_return;
  if (to->is_file) {
    co_await write_on_wait(to->handle, data);
    co_return;
  }
  const result<void> sent =
      co_await as_result(detail::send_wait(to->handle, cursor_over(data), nullptr));
  if (sent) co_return;
  co_await checkpoint();  // a cancellation goes on as one
  if (sent.error().code() == errc::broken) co_await of_.raise(SIGPIPE);
  weir::raise(sent.error());
}

const char* virtual_process::variable(std::string_view name) const noexcept {
  for (const std::string& one : environment_) {
    if (one.size() > name.size() && one[name.size()] == '=' && one.starts_with(name))
      return one.c_str() + name.size() + 1;
  }
  return nullptr;
}

void virtual_process::ignore(int number) { all_.ignore(pid_, number); }

void virtual_process::hear(int number) { all_.hear(pid_, number); }

task<> virtual_process::exit(int code) {
  all_.exit(pid_, code);
  co_await sleep_until(time_point::never());
}

task<> virtual_process::raise(int number) {
  switch (all_.send_to_self(pid_, number)) {
    case virtual_processes::effect::none:
      break;
    case virtual_processes::effect::stops:
      co_await sleep(duration(1));  // not before the program is given turns again
      break;
    case virtual_processes::effect::ends:
      co_await sleep_until(time_point::never());
  }
}

}  // namespace weir
