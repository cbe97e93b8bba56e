#include <weir/flow/channel.hpp>

#include <cstdint>

namespace weir::detail {

void raise_send_failure(errc code) {
  switch (code) {
    case errc::broken:
      raise(error(code, "send: no receiver of the channel is left"));
    case errc::full:
      raise(error(code, "send: the channel is full and its policy is to fail"));
    default:
      raise(error(code, "send: this half of the channel was closed"));
  }
}

void raise_receive_failure() {
  raise(error(errc::closed, "receive: this half of the channel was closed"));
}

void check_channel_options(const channel_options& options, std::size_t item_size) {
  const bool drops_queued = options.when_full == overflow::drop_oldest;
  if (options.capacity == 0 && drops_queued) {
    raise(
        error(errc::invalid_argument,
              "channel: drop_oldest needs a capacity of at least 1, for it drops what is queued"));
  }
  if (options.capacity > PTRDIFF_MAX / item_size)
    raise(error(errc::too_large, "channel: no memory has room for that capacity"));
}

}  // namespace weir::detail
