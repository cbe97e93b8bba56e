// Bodies of future.hpp's templates: how a handler is called, and what its result means.
#pragma once

#include <weir/flow/future.hpp>

#include <optional>

namespace weir::detail {

/// A reaction whose handler is `Call`: call(source, self) settles or resolves self, or throws.
template <class T, class Call>
class call_reaction final : public promise_value<T, reaction> {
  static_assert(alignof(Call) <= frame_alignment,
                "what a handler captures is aligned to at most 16 bytes; use a std::unique_ptr");

 public:
  call_reaction(Call call, std::source_location place)
      : promise_value<T, reaction>(place), call_(std::move(call)) {}

 private:
  void react(promise_core& from) noexcept override {
    try {
      (*call_)(from, static_cast<promise_core&>(*this));
    } catch (...) {
      this->settle_rejected(std::current_exception());
    }
    call_.reset();  // what it holds goes now, not with the future
  }
  void forget() noexcept override { call_.reset(); }

  std::optional<Call> call_;
};

template <class T, class Call>
future<T> react_to(core_handle& from, bool is_taken, Call call, std::source_location place) {
  WEIR_ASSERT(from && "an empty future gets a handler: its value was taken, or it was moved from");
  handler_queue& queue = handler_queue::here(place);
  auto* made = new call_reaction<T, Call>(std::move(call), place);
  future<T> given{core_handle(made)};
  queue.add(*made, is_taken ? std::move(from) : core_handle(from));
  return given;
}

template <class F>
inline constexpr bool is_absent = std::is_null_pointer_v<std::remove_cvref_t<F>>;

/// True for a handler that is there: a null function pointer or an empty std::function is not (A2).
template <class F>
bool is_callable(const F& f) noexcept {
  if constexpr (is_absent<F>) {
    return false;
  } else if constexpr (requires { f == nullptr; }) {
    return !(f == nullptr);
  } else {
    return true;
  }
}

/// The source's value as a handler gets it.
template <class T, reading How>
decltype(auto) value_for(promise_core& from) noexcept {
  if constexpr (How == reading::only) {
    return std::move(value_of<T>(from));
  } else {
    return std::as_const(value_of<T>(from));
  }
}

template <class T, reading How, class F>
struct value_call
    : std::invoke_result<F&, decltype(value_for<T, How>(std::declval<promise_core&>()))> {};
template <reading How, class F>
struct value_call<void, How, F> : std::invoke_result<F&> {};
template <class T, reading How>
struct value_call<T, How, std::nullptr_t> : std::type_identity<T> {};
template <reading How>
struct value_call<void, How, std::nullptr_t> : std::type_identity<void> {};
template <class T, reading How, class F>
using value_result_t = typename value_call<T, How, F>::type;

/// Resolves `self` with f(...): the body of every handler.
template <class U, class F, class... A>
void resolve_with_call(promise_core& self, F& f, A&&... with) {
  using given = std::invoke_result_t<F&, A...>;
  if constexpr (std::is_void_v<given>) {
    f(std::forward<A>(with)...);
    static_assert(std::is_void_v<U>, "the other handler gives a value: this one has to, too");
    fulfil<U>(self);
  } else if constexpr (std::is_void_v<U> && !is_future<given> && !is_task<given>) {
    f(std::forward<A>(with)...);
    fulfil<U>(self);
  } else {
    resolve_claimed<U>(self, f(std::forward<A>(with)...));
  }
}

/// The value passes by a handler that is not there.
template <class T, reading How, class U>
void pass_value(promise_core& from, promise_core& self) {
  if constexpr (std::is_void_v<U>) {
    fulfil<U>(self);
  } else if constexpr (std::is_same_v<T, U>) {
    fulfil<U>(self, value_for<T, How>(from));
  } else {
    raise_no_handler(self.place());
  }
}

/// What an error handler takes decides which errors it sees.
template <class F>
struct error_call {
  static constexpr bool takes_any = std::is_invocable_v<F&, std::exception_ptr>;
  static constexpr bool takes_error = !takes_any && std::is_invocable_v<F&, const error&>;
  using argument =
      std::conditional_t<takes_any, std::exception_ptr,
                         std::conditional_t<takes_error, const error&, const std::exception&>>;
  static_assert(std::is_invocable_v<F&, argument>,
                "an error handler takes a std::exception_ptr, a const weir::error& or a const "
                "std::exception&");
  using type = std::invoke_result_t<F&, argument>;
};
template <>
struct error_call<std::nullptr_t> {
  using type = void;
};
template <class F>
using error_result_t = typename error_call<F>::type;

template <class U, class G>
void resolve_with_error(promise_core& from, promise_core& self, G& g) {
  const std::exception_ptr failure = from.hear_failure();
  if constexpr (is_absent<G>) {
    self.settle_rejected(failure);
  } else {
    if (!is_callable(g)) return self.settle_rejected(failure);
    if constexpr (error_call<G>::takes_any) {
      resolve_with_call<U>(self, g, failure);
    } else {
      // The handler runs outside of the try: what it throws is its own.
      using caught = std::conditional_t<error_call<G>::takes_error, exception, std::exception>;
      const caught* reason = nullptr;
      try {
        std::rethrow_exception(failure);
      } catch (const caught& e) {
        reason = &e;  // lives in `failure`
      } catch (...) {
        reason = nullptr;  // of a kind that this handler does not take
      }
      if (!reason) return self.settle_rejected(failure);
      if constexpr (error_call<G>::takes_error) {
        resolve_with_call<U>(self, g, reason->reason());
      } else {
        resolve_with_call<U>(self, g, *reason);
      }
    }
  }
}

template <class T, reading How, class U, class F, class G>
future<U> add_handlers(core_handle& from, F f, G g, std::source_location place) {
  return react_to<U>(
      from, How == reading::only,
      [f = std::move(f), g = std::move(g)](promise_core& source, promise_core& self) mutable {
        static_cast<void>(f);
        if (source.phase() == settled_as::rejected) return resolve_with_error<U>(source, self, g);
        if constexpr (is_absent<F>) {
          pass_value<T, How, U>(source, self);
        } else if (!is_callable(f)) {
          pass_value<T, How, U>(source, self);
        } else if constexpr (std::is_void_v<T>) {
          resolve_with_call<U>(self, f);
        } else {
          resolve_with_call<U>(self, f, value_for<T, How>(source));
        }
      },
      place);
}

template <class T, reading How, class F>
auto add_value_handler(core_handle& from, F f, std::source_location place) {
  using given = resolved_t<value_result_t<T, How, F>>;
  return add_handlers<T, How, given>(from, std::move(f), nullptr, place);
}

template <class T, reading How, class F, class G>
auto add_both_handlers(core_handle& from, F f, G g, std::source_location place) {
  using given = resolved_t<value_result_t<T, How, F>>;
  return add_handlers<T, How, given>(from, std::move(f), std::move(g), place);
}

template <class T, reading How, class F>
auto add_error_handler(core_handle& from, F f, std::source_location place) {
  using given = resolved_t<error_result_t<F>>;
  using kept = std::conditional_t<is_absent<F> || !std::is_void_v<given>, T, void>;
  return add_handlers<T, How, kept>(from, nullptr, std::move(f), place);
}

/// Settles `self` with the source's outcome.
template <class T, reading How>
void pass_outcome(promise_core& from, promise_core& self) {
  if (from.phase() == settled_as::rejected) {
    self.settle_rejected(from.hear_failure());
  } else {
    pass_value<T, How, T>(from, self);
  }
}

template <class T, reading How>
T outcome_of(promise_core& from) {
  if (from.phase() == settled_as::rejected) std::rethrow_exception(from.hear_failure());
  if constexpr (!std::is_void_v<T>) return value_for<T, How>(from);
}

template <class T, reading How, class X>
task<T> outcome_after(task<X> first, core_handle from) {
  try {
    co_await std::move(first);
  } catch (...) {
    raise_finally(*from);
  }
  co_return outcome_of<T, How>(*from);
}

template <class T, reading How, class F>
future<T> add_finally(core_handle& from, F f, std::source_location place) {
  using given = std::invoke_result_t<F&>;
  auto call = [f = std::move(f)](promise_core& source, promise_core& self) mutable {
    source.keep();
    core_handle kept(&source);
    try {
      if constexpr (is_future<given>) {
        const auto fails = [kept](const std::exception_ptr& e) -> T { raise_finally(*kept, e); };
        const auto ended = [kept](auto&&...) { return outcome_of<T, How>(*kept); };
        resolve_claimed<T>(self, f().then(ended, fails));
      } else if constexpr (is_task<given>) {
        resolve_claimed<T>(self, outcome_after<T, How>(f(), std::move(kept)));
      } else {
        f();
        pass_outcome<T, How>(source, self);
      }
    } catch (...) {
      raise_finally(source);
    }
  };
  return react_to<T>(from, How == reading::only, std::move(call), place);
}

}  // namespace weir::detail

namespace weir {

template <class T>
template <class F>
auto future<T>::then(F f, std::source_location place) {
  return detail::add_value_handler<T, how>(this->core_, std::move(f), place);
}
template <class T>
template <class F, class G>
auto future<T>::then(F f, G on_error, std::source_location place) {
  return detail::add_both_handlers<T, how>(this->core_, std::move(f), std::move(on_error), place);
}
template <class T>
template <class F>
auto future<T>::catch_error(F f, std::source_location place) {
  return detail::add_error_handler<T, how>(this->core_, std::move(f), place);
}
template <class T>
template <class F>
future<T> future<T>::finally(F f, std::source_location place) {
  return detail::add_finally<T, how>(this->core_, std::move(f), place);
}

template <class T>
template <class F>
auto shared_future<T>::then(F f, std::source_location place) const {
  detail::core_handle mine = this->core_;
  return detail::add_value_handler<T, how>(mine, std::move(f), place);
}
template <class T>
template <class F, class G>
auto shared_future<T>::then(F f, G on_error, std::source_location place) const {
  detail::core_handle mine = this->core_;
  return detail::add_both_handlers<T, how>(mine, std::move(f), std::move(on_error), place);
}
template <class T>
template <class F>
auto shared_future<T>::catch_error(F f, std::source_location place) const {
  detail::core_handle mine = this->core_;
  return detail::add_error_handler<T, how>(mine, std::move(f), place);
}
template <class T>
template <class F>
future<T> shared_future<T>::finally(F f, std::source_location place) const {
  detail::core_handle mine = this->core_;
  return detail::add_finally<T, how>(mine, std::move(f), place);
}

}  // namespace weir
