#include <weir/sim/virtual_process.hpp>

#include <weir/core/as_result.hpp>
#include <weir/core/sleep.hpp>
#include <weir/io/file.hpp>
#include <weir/io/socket.hpp>
#include <weir/sim/virtual_processes.hpp>
#include <weir/sim/virtual_world.hpp>

#include <signal.h>

#include <utility>

namespace weir {

namespace {
constexpr std::size_t receive_max = 16 * 1024;

detail::slice_cursor cursor_over(std::string_view data) noexcept {
  return detail::slice_cursor(io_slice{data.data(), data.size()});
}
}  // namespace

// Both are cancel points also where nothing is to wait for: else a program that reads or writes in
// a loop could not be ended.
task<bytes> virtual_input::receive() {
  co_await checkpoint();
  const std::shared_ptr<detail::process_stream> from = from_;
  if (!from) co_return bytes{};
  if (!from->is_file) co_return co_await detail::receive_wait(from->handle);
  std::string piece(receive_max, '\0');
  piece.resize(co_await detail::read_wait(from->handle, virtual_world::own_offset, piece.data(),
                                          piece.size()));
  co_return bytes::copy_of(piece);
}

task<> virtual_output::send(std::string_view data) {
  co_await checkpoint();
  const std::shared_ptr<detail::process_stream> to = to_;
  if (!to) co_return;
  if (to->is_file) {
    co_await detail::write_wait(to->handle, virtual_world::own_offset, cursor_over(data));
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
