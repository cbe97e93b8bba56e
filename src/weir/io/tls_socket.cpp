#include <weir/io/tls_socket.hpp>

#include <weir/core/as_result.hpp>
#include <weir/core/sleep.hpp>
#include <weir/io/internal/file_sends.hpp>

#include <fmt/format.h>

#include <utility>

namespace weir {

using detail::tls_channel;

void tls_socket::raise_failed(const char* what, errc code) const {
  if (!socket_) raise(error(errc::closed, "closed while waiting"));
  if (channel_.failure()) raise(error(*channel_.failure()));
  raise(error(code, what));
}

task<bytes> tls_socket::receive() {
  detail::received_outcome got = co_await channel_.receive(duration::max());
  if (got.failure != errc{}) raise_failed("receive", got.failure);
  co_return std::move(got.data);
}

task<> tls_socket::send(std::string_view data, std::size_t* sent) {
  const io_slice one{data.data(), data.size()};
  co_await send(std::span(&one, 1), sent);
}

task<> tls_socket::send(std::span<const io_slice> pieces, std::size_t* sent) {
  if (!detail::slice_cursor(pieces.data(), pieces.size()).is_empty())
    detail::look_for_file_sends(this);
  const detail::sent_outcome outcome = co_await channel_.send(pieces, duration::max(), sent);
  if (!outcome) raise_failed("send", outcome.failure);
}

task<> tls_socket::shutdown_send() {
  const detail::sent_outcome outcome = co_await channel_.end_send(duration::max());
  if (!outcome) raise_failed("shutdown", outcome.failure);
  co_await socket_.shutdown_send();
}

task<tls_socket> tls_accept(tls_server& by, socket plain) {
  tls_channel channel = tls_channel::accepting(by, plain.handle_here());
  co_await channel.handshake();
  co_return tls_socket(std::move(plain), std::move(channel));
}

task<tls_socket> tls_connect(tls_client& by, socket plain, std::string host) {
  std::string place = fmt::format("{} {}", host, plain.peer().text());
  tls_channel channel = tls_channel::connecting(by, plain.handle_here(), host, std::move(place));
  co_await channel.handshake();
  co_return tls_socket(std::move(plain), std::move(channel));
}

task<tls_socket> tls_connect(tls_client& by, std::string host, std::uint16_t port) {
  socket plain = co_await connect(host, port);
  co_return co_await tls_connect(by, std::move(plain), std::move(host));
}

}  // namespace weir
