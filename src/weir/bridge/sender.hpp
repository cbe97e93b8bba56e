// Senders and receivers of std::execution (P2300) both ways, by their member functions: connect()
// of a sender, start() of what that gives, set_value(), set_error() and set_stopped() of a
// receiver. The hard idea: the model's three outcomes are ours, value, error and cancelled, so
// nothing is lost on the way. No header of the standard library or of stdexec is needed, and so the
// tags by which these check their concepts (sender_concept, receiver_concept) are not there.
#pragma once

#include <weir/base/assert.hpp>
#include <weir/flow/callback.hpp>

#include <exception>
#include <memory>
#include <type_traits>
#include <utility>

namespace weir {

namespace detail {

/// A sender at work and the receiver of its end, which frees both.
template <class Sender, class... V>
class sender_at_work {
  struct no_environment {};
  struct receiver {
    sender_at_work* of;
    template <class... A>
    void set_value(A&&... with) && noexcept {
      const std::unique_ptr<sender_at_work> whole(of);
      whole->done_(std::forward<A>(with)...);
    }
    template <class E>
    void set_error(E&& reason) && noexcept {
      const std::unique_ptr<sender_at_work> whole(of);
      if constexpr (std::is_same_v<std::remove_cvref_t<E>, std::exception_ptr> ||
                    std::is_same_v<std::remove_cvref_t<E>, error>) {
        whole->done_.fail(std::forward<E>(reason));
      } else {
        whole->done_.fail(std::make_exception_ptr(std::forward<E>(reason)));
      }
    }
    void set_stopped() && noexcept {
      const std::unique_ptr<sender_at_work> whole(of);
      whole->done_.fail(error(errc::cancelled, "the sender was stopped"));
    }
    no_environment get_env() const noexcept { return {}; }
  };

 public:
  sender_at_work(Sender from, callback<V...> done)
      : done_(std::move(done)), operation_(std::move(from).connect(receiver{this})) {}
  void start() noexcept { operation_.start(); }

 private:
  callback<V...> done_;
  decltype(std::declval<Sender>().connect(std::declval<receiver>())) operation_;
};

}  // namespace detail

/// Starts a sender at once and gives a future of what it completes with, V... in set_value:
/// `int n = co_await from_sender<int>(just(42));` An error that is no exception_ptr is thrown as
/// itself; stopped is `cancelled`. A cancelled wait leaves the sender alone.
template <class... V, class Sender>
[[nodiscard]] auto from_sender(Sender from,
                               std::source_location place = std::source_location::current()) {
  return from_callback<V...>(
      [&](auto done) {
        (new detail::sender_at_work<Sender, V...>(std::move(from), std::move(done)))->start();
      },
      place);
}

namespace detail {

template <class T, class Receiver>
class future_operation final : settle_listener {
 public:
  future_operation(core_handle from, Receiver to) noexcept : to_(std::move(to)) {
    source = from.release();
  }
  future_operation(const future_operation&) = delete;
  future_operation& operator=(const future_operation&) = delete;
  ~future_operation() {
    WEIR_ASSERT(!is_linked() && "an operation of as_sender() ends before it has completed");
    if (source) source->drop();
  }
  void start() noexcept {
    if (!source->listen(*this)) source_settled();
  }

 private:
  void source_settled() noexcept override {
    const core_handle from(std::exchange(source, nullptr));
    Receiver to = std::move(to_);  // its call may end this operation
    if (from->phase() == settled_as::fulfilled) {
      if constexpr (std::is_void_v<T>) {
        std::move(to).set_value();
      } else {
        std::move(to).set_value(std::move(value_of<T>(*from)));
      }
    } else if (is_cancellation(from->hear_failure())) {
      std::move(to).set_stopped();
    } else {
      std::move(to).set_error(from->hear_failure());
    }
  }

  Receiver to_;
};

}  // namespace detail

/// A future as a sender.
///
/// Cancel:  no waits; a rejection as `cancelled` is set_stopped().
/// Order:   completes once, after start().
/// Bound:   its operation lives where the receiver's owner puts it; nothing is allocated.
/// Errors:  set_error() gets a std::exception_ptr.
/// Threads: the receiver is called on the thread that settles the promise.
template <class T>
class future_sender {
 public:
  using value_type = T;

  explicit future_sender(future<T> from) noexcept : of_(detail::source_of(std::move(from))) {}
  template <class Receiver>
  [[nodiscard]] auto connect(Receiver to) && {
    return detail::future_operation<T, Receiver>(std::move(of_), std::move(to));
  }

 private:
  detail::core_handle of_;
};
template <class T>
[[nodiscard]] future_sender<T> as_sender(future<T> from) noexcept {
  return future_sender<T>(std::move(from));
}

}  // namespace weir
