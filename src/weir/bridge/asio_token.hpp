// Boost.Asio: any asynchronous operation of it, or an `awaitable`, as a future of weir's. The hard
// idea: Asio asks the completion token what the operation returns, so one specialisation bridges
// all operations there are; the handler that Asio gets only resolves a promise, on whatever thread
// its executor runs.
// Used as `auto count = co_await socket.async_read_some(buffer, weir::use_weir);`, and for a
// coroutine of Asio's as `co_await boost::asio::co_spawn(context, theirs(), weir::use_weir);`.
#pragma once

#include <weir/flow/callback.hpp>

#include <boost/asio/async_result.hpp>
#include <boost/asio/error.hpp>
#include <boost/system/error_code.hpp>

#include <exception>
#include <type_traits>
#include <utility>

namespace weir {

/// The completion token: an operation that is given it returns a future. An error_code or an
/// exception_ptr in front rejects it. A cancelled wait leaves the operation alone: cancel it by
/// what Asio offers (closing the socket, cancel()). `broken` when the io_context goes before its
/// end.
struct use_weir_t {};
inline constexpr use_weir_t use_weir;

namespace detail {

/// Asio's codes: those of the system by their number, the end of a stream, and `io` with a text.
inline error error_of(const boost::system::error_code& code) {
  if (code == boost::asio::error::eof) return errc::end_of_stream;
  if (code.category() == boost::system::system_category() ||
      code.category() == boost::system::generic_category())
    return error::from_os(code.value(), "an operation of Asio");
  return {errc::io, code.message()};
}

/// What an operation with this signature completes with, and how it may fail.
template <class... A>
struct asio_handler {
  callback<A...> done;
  void operator()(A... with) { done(std::move(with)...); }
  template <class F>
  static auto start(F from) {
    return from_callback<A...>([&](auto done) { from(asio_handler(done)); });
  }
};
template <class... A>
struct asio_handler<boost::system::error_code, A...> {
  callback<A...> done;
  void operator()(boost::system::error_code code, A... with) {
    if (code) return done.fail(error_of(code));
    done(std::move(with)...);
  }
  template <class F>
  static auto start(F from) {
    return from_callback<A...>([&](auto done) { from(asio_handler(done)); });
  }
};
template <class... A>
struct asio_handler<std::exception_ptr, A...> {
  callback<A...> done;
  void operator()(std::exception_ptr failure, A... with) {
    if (failure) return done.fail(std::move(failure));
    done(std::move(with)...);
  }
  template <class F>
  static auto start(F from) {
    return from_callback<A...>([&](auto done) { from(asio_handler(done)); });
  }
};

}  // namespace detail
}  // namespace weir

template <class R, class... A>
class boost::asio::async_result<weir::use_weir_t, R(A...)> {
  using handler = weir::detail::asio_handler<std::decay_t<A>...>;

 public:
  template <class Start, class... Given>
  static auto initiate(Start&& start, weir::use_weir_t, Given&&... given) {
    return handler::start([&](handler done) {
      std::forward<Start>(start)(std::move(done), std::forward<Given>(given)...);
    });
  }
};
