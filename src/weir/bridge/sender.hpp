// Senders and receivers of std::execution (P2300) both ways. The hard idea: the model's three
// outcomes are ours, value, error and cancelled, and its stop token is our cancellation, so an
// awaited sender is a wait like any other: it is asked to stop when its task is cancelled, and has
// ended when the task goes on. No header of the standard library or of stdexec is needed: what a
// library calls the concepts' tags comes in as a parameter, `sender_names` or one of your own.
#pragma once

#include <weir/base/assert.hpp>
#include <weir/core/frame_pool.hpp>
#include <weir/core/wait.hpp>
#include <weir/flow/callback.hpp>

#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <stop_token>
#include <type_traits>
#include <utility>
#include <variant>

namespace weir {

/// What a library of senders calls what P2300 specifies. This one is for senders that ask for no
/// tags: it calls their members. For a library give a struct of the same members, its own types and
/// calls (docs/guide/bridges.md has one).
struct sender_names {
  struct sender_t {};
  struct receiver_t {};
  struct operation_state_t {};
  struct set_value_t {};
  struct set_error_t {};
  struct set_stopped_t {};
  struct get_stop_token_t {};
  template <class... Signature>
  struct completion_signatures {};
  using stop_source = std::stop_source;

  template <class Sender, class Receiver>
  static auto connect(Sender&& from, Receiver to) {
    return std::forward<Sender>(from).connect(std::move(to));
  }
  template <class Operation>
  static void start(Operation& one) noexcept {
    one.start();
  }
};

namespace detail {

/// What a sender completed with, on whatever thread, and how it is asked to stop.
template <class Names, class... V>
struct sender_outcome : post_node {
  using value_type = called_with_t<V...>;
  using kept_type = std::conditional_t<std::is_void_v<value_type>, std::monostate, value_type>;

  std::optional<kept_type> value;
  std::exception_ptr failure;
  std::optional<typename Names::stop_source> stop;  // from the start on
  loop* home = nullptr;

  // The wait may be over as soon as the loop knows.
  void completed() noexcept {
    if (home == loop::current()) return this->run(*this);
    home->post_node(*this);
  }
};

template <class Names, class... V>
struct sender_environment {
  sender_outcome<Names, V...>* of;
  auto query(typename Names::get_stop_token_t) const noexcept { return of->stop->get_token(); }
};

template <class Names, class... V>
struct sender_receiver {
  using receiver_concept = typename Names::receiver_t;

  sender_outcome<Names, V...>* of;

  template <class... A>
  void set_value(A&&... with) && noexcept {
    try {
      of->value.emplace(std::forward<A>(with)...);
    } catch (...) {
      of->failure = std::current_exception();
    }
    of->completed();
  }
  template <class E>
  void set_error(E&& reason) && noexcept {
    try {
      if constexpr (std::is_same_v<std::remove_cvref_t<E>, std::exception_ptr>) {
        of->failure = std::forward<E>(reason);
      } else if constexpr (std::is_same_v<std::remove_cvref_t<E>, error>) {
        of->failure = std::make_exception_ptr(exception(std::forward<E>(reason)));
      } else {
        of->failure = std::make_exception_ptr(std::forward<E>(reason));
      }
      if (!of->failure) raise(error(errc::io, "the sender failed without a reason"));
    } catch (...) {
      of->failure = std::current_exception();
    }
    of->completed();
  }
  void set_stopped() && noexcept { of->completed(); }
  sender_environment<Names, V...> get_env() const noexcept { return {of}; }
};

/// A sender that starts when it is awaited; its operation lives here.
template <class Names, class Sender, class... V>
class [[nodiscard]] sender_wait final
    : public leaf_wait<sender_wait<Names, Sender, V...>, called_with_t<V...>>,
      sender_outcome<Names, V...> {
  using base = leaf_wait<sender_wait, called_with_t<V...>>;
  using receiver = sender_receiver<Names, V...>;
  using operation = decltype(Names::connect(std::declval<Sender>(), std::declval<receiver>()));
  static_assert(alignof(operation) <= frame_alignment && alignof(Sender) <= frame_alignment &&
                    alignof(typename sender_outcome<Names, V...>::kept_type) <= frame_alignment,
                "what lives in a wait is aligned to at most 16 bytes: it is part of a frame");
  static_assert(std::is_nothrow_move_constructible_v<Sender>,
                "a sender that may throw when it is moved can't be awaited: wrap it");

 public:
  static constexpr auto when_cancelled = cancel_safety::point_of_no_return;
  using value_type = called_with_t<V...>;

  explicit sender_wait(Sender from) : base(kind_), from_(std::move(from)) {}
  sender_wait(sender_wait&& other) noexcept
      : base(static_cast<base&&>(other)), from_(std::move(other.from_)) {}  // before it begins
  sender_wait& operator=(sender_wait&&) = delete;
  ~sender_wait() {
    if (is_connected_) operation_.~operation();
  }

  bool try_now() noexcept { return false; }
  void enlist() noexcept {
    this->home = loop::current();
    this->run = [](post_node& node) noexcept { static_cast<sender_wait&>(node).ended(); };
    try {
      this->stop.emplace();
      ::new (static_cast<void*>(&operation_))
          operation(Names::connect(std::move(from_), receiver{this}));
    } catch (...) {
      this->failure = std::current_exception();
      return this->complete();
    }
    is_connected_ = true;
    Names::start(operation_);
  }
  result<value_type> take() {
    if (this->failure) return std::unexpected<error>(error_of(this->failure));
    if (!this->value) return std::unexpected<error>(stopped());
    if constexpr (std::is_void_v<value_type>) {
      return {};
    } else {
      return std::move(*this->value);
    }
  }
  value_type await_resume() {
    if (this->failure) std::rethrow_exception(this->failure);
    return value_or_raise(take());
  }

 private:
  static error stopped() { return {errc::cancelled, "the sender was stopped"}; }
  static void leave(wait& w) noexcept {
    auto& self = static_cast<sender_wait&>(w);
    self.is_given_up_ = true;
    self.stop->request_stop();
  }
  void ended() noexcept {
    if (is_given_up_ && !this->value && (!this->failure || is_cancellation(this->failure))) {
      this->complete_cancelled();
    } else {
      this->complete();
    }
  }
  static constexpr wait_kind kind_{"a sender", &leave};

  Sender from_;
  union {
    operation operation_;
  };
  bool is_connected_ = false;
  bool is_given_up_ = false;
};

}  // namespace detail

/// The wait for a sender that completes with V...: nothing, a value, or a tuple. It starts when it
/// is awaited: `int n = co_await from_sender<int>(names, just(42));`
///
/// Cancel:  asks the sender to stop, by the stop token of its receiver's environment, and waits
///          until it has ended; a value that it has nevertheless is delivered. One that does not
///          look at its token is waited for.
/// Order:   none.
/// Bound:   the operation lives in the wait; nothing is allocated but by the sender, and by the
///          stop source of `sender_names`.
/// Errors:  an exception_ptr and an `error` are raised, any other error is thrown as itself;
///          stopped, and not by us, is `cancelled`. What connect() throws is raised.
/// Threads: awaited on any loop; the sender may complete on any thread.
template <class... V, class Names, class Sender>
[[nodiscard]] auto from_sender(Names /*of*/, Sender from) {
  return detail::sender_wait<Names, Sender, V...>(std::move(from));
}
template <class... V, class Sender>
[[nodiscard]] auto from_sender(Sender from) {
  return detail::sender_wait<sender_names, Sender, V...>(std::move(from));
}

namespace detail {

template <class T, class Names, class Receiver>
class future_operation final : settle_listener {
 public:
  using operation_state_concept = typename Names::operation_state_t;

  future_operation(core_handle from, Receiver to) noexcept : to_(std::move(to)) {
    source = from.release();
  }
  future_operation(const future_operation&) = delete;
  future_operation& operator=(const future_operation&) = delete;
  ~future_operation() {
    WEIR_ASSERT(!is_linked() && "an operation of as_sender() ends before it has completed");
    if (source) source->drop();
  }
  void start() & noexcept {
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

template <class Names, class SetValue>
using future_signatures = typename Names::template completion_signatures<
    SetValue, typename Names::set_error_t(std::exception_ptr), typename Names::set_stopped_t()>;
template <class T, class Names>
struct future_completion {
  using type = future_signatures<Names, typename Names::set_value_t(T)>;
};
template <class Names>
struct future_completion<void, Names> {
  using type = future_signatures<Names, typename Names::set_value_t()>;
};

}  // namespace detail

/// A future as a sender.
///
/// Cancel:  no waits; a rejection as `cancelled` is set_stopped(). A receiver's stop token is not
///          looked at: a future can't be stopped.
/// Order:   completes once, after start().
/// Bound:   its operation lives where the receiver's owner puts it; nothing is allocated.
/// Errors:  set_error() gets a std::exception_ptr.
/// Threads: the receiver is called on the thread that settles the promise.
template <class T, class Names = sender_names>
class future_sender {
 public:
  using value_type = T;
  using sender_concept = typename Names::sender_t;
  using completion_signatures = typename detail::future_completion<T, Names>::type;

  explicit future_sender(future<T> from) noexcept : of_(detail::source_of(std::move(from))) {}
  template <class Receiver>
  [[nodiscard]] auto connect(Receiver to) && {
    return detail::future_operation<T, Names, Receiver>(std::move(of_), std::move(to));
  }
  /// As C++26 asks for them, whatever the receiver's environment.
  template <class... Environment>
  static consteval completion_signatures get_completion_signatures() {
    return {};
  }

 private:
  detail::core_handle of_;
};
template <class T, class Names = sender_names>
[[nodiscard]] future_sender<T, Names> as_sender(future<T> from, Names /*of*/ = {}) noexcept {
  return future_sender<T, Names>(std::move(from));
}

}  // namespace weir
