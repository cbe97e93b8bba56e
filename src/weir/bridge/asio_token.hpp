// Boost.Asio: any asynchronous operation of it, or an `awaitable`, as a future of weir's. The hard
// idea: Asio asks the completion token what the operation returns, so one specialisation bridges
// all operations there are; the handler that Asio gets only resolves a promise, on whatever thread
// its executor runs. An operation may use memory of the task that waits for it, so a cancelled wait
// asks Asio to cancel the operation, by its cancellation slot, and stays until that has ended.
// Used as `auto count = co_await socket.async_read_some(buffer, weir::use_weir);`, and for a
// coroutine of Asio's as `co_await boost::asio::co_spawn(context, theirs(), weir::use_weir);`.
#pragma once

#include <weir/bridge/asio_wait.hpp>
#include <weir/flow/callback.hpp>

#include <boost/asio/async_result.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/error.hpp>
#include <boost/system/error_code.hpp>

#include <exception>
#include <memory>
#include <type_traits>
#include <utility>

namespace weir {

/// The completion token: an operation that is given it begins at once and returns an
/// asio_operation. An error_code or an exception_ptr in front is raised.
struct use_weir_t {};
inline constexpr use_weir_t use_weir;

/// An operation of Asio that has begun: a future.
///
/// Cancel:  a cancelled await cancels the operation (cancellation_type::terminal) on its executor
///          and waits until it has ended, also by as_result() and with_timeout(); a result that it
///          has nevertheless is delivered. One that knows no cancellation is waited for. One that
///          is not awaited, or only as a plain future, is left alone. An await uses it up, also one
///          that was too late or cancelled, and where it has a name.
/// Order:   as the executor runs handlers.
/// Bound:   as a future, and one block more.
/// Errors:  `broken` when the io_context goes before the operation's end; Asio's by their number.
/// Threads: awaited on any loop; a context that several threads run needs a strand, as Asio wants
///          it for a cancellation.
template <class T>
class asio_operation : public future<T> {
 public:
  asio_operation(future<T> of, std::shared_ptr<detail::asio_cancel> cancel) noexcept
      : future<T>(std::move(of)), cancel_(std::move(cancel)) {}

  auto operator co_await() noexcept {
    return detail::asio_wait<T>(this->take_core(), std::move(cancel_));
  }

 private:
  std::shared_ptr<detail::asio_cancel> cancel_;
};

namespace detail {

/// What an operation with this signature completes with, and how it may fail.
template <class... A>
struct asio_handler : asio_part {
  callback<A...> done;
  void operator()(A... with) {
    has_ended();
    done(std::move(with)...);
  }
  template <class F>
  static auto start(F from) {
    return from_callback<A...>([&](auto done) { from(std::move(done)); });
  }
};
template <class... A>
struct asio_handler<boost::system::error_code, A...> : asio_part {
  callback<A...> done;
  void operator()(boost::system::error_code code, A... with) {
    has_ended();
    if (code) return done.fail(error_of(code));
    done(std::move(with)...);
  }
  template <class F>
  static auto start(F from) {
    return from_callback<A...>([&](auto done) { from(std::move(done)); });
  }
};
template <class... A>
struct asio_handler<std::exception_ptr, A...> : asio_part {
  callback<A...> done;
  void operator()(std::exception_ptr failure, A... with) {
    has_ended();
    if (failure) return done.fail(std::move(failure));
    done(std::move(with)...);
  }
  template <class F>
  static auto start(F from) {
    return from_callback<A...>([&](auto done) { from(std::move(done)); });
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
    auto cancel = weir::detail::cancel_for(start);
    auto begun = handler::start([&](auto done) {
      std::forward<Start>(start)(handler{{cancel}, std::move(done)}, std::forward<Given>(given)...);
    });
    using value = typename decltype(begun)::value_type;
    return weir::asio_operation<value>(std::move(begun), std::move(cancel));
  }
};
