#include <weir/io/shared_send.hpp>

#include <weir/io/io_wait.hpp>

#include <utility>

namespace weir {

namespace {

/// One request: as much as the socket takes at once.
class shared_send_wait final : public detail::io_wait<shared_send_wait, std::size_t> {
 public:
  shared_send_wait(io_handle to, bytes what) noexcept
      : io_wait(kind_), what_(std::move(what)), slice_{what_.data(), what_.size()} {
    op = io_op::send;
    flags = 1;  // it may be shared: then `memory` is what the driver keeps
    handle = to;
  }
  bool try_now() noexcept {
    memory = &what_;
    slices = &slice_;
    slice_count = 1;
    return io_wait::try_now();
  }
  result<std::size_t> take() noexcept {
    if (outcome < 0) return fail(failed("send"));
    return static_cast<std::size_t>(outcome);
  }

 private:
  static const detail::wait_kind kind_;
  bytes what_;
  io_slice slice_;
};

constinit const detail::wait_kind shared_send_wait::kind_{"send", &shared_send_wait::leave,
                                                          &shared_send_wait::describe};

}  // namespace

task<> send_shared(socket& to, bytes data, std::size_t* sent) {
  std::size_t done = 0;
  if (sent) *sent = 0;
  while (done < data.size()) {
    done += co_await shared_send_wait(to.handle(), data.slice(done));
    if (sent) *sent = done;
  }
}

}  // namespace weir
