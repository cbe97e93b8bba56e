// C functions with user data, behind which stands a future or a callable of C++. The hard idea: the
// signature says where the user data stands, and one function is compiled for each signature, which
// finds its object there; nothing is registered anywhere.
//
//   from_c_callback     called exactly once               -> future<T>
//   make_c_callback     called as often as somebody likes -> a callable, as long as the object
//   lives
#pragma once

#include <weir/flow/callback.hpp>

#include <cstddef>
#include <source_location>
#include <tuple>
#include <type_traits>
#include <utility>

namespace weir {

namespace detail {

/// Splits `R(A..., void*)` or `R(void*, A...)`: where the user data stands.
template <class Signature>
struct c_signature;
template <class R, class... A>
struct c_signature<R(A...)> {
  using result = R;
  static constexpr std::size_t count = sizeof...(A);
  template <std::size_t I>
  using at = std::tuple_element_t<I, std::tuple<A...>>;
  static_assert(count > 0, "the signature of a C callback has a void* for user data");
  static constexpr bool is_last = std::is_same_v<at<count - 1>, void*>;
  static_assert(is_last || std::is_same_v<at<0>, void*>,
                "the user data, a void*, is the first or the last parameter");

  /// A function of this signature that calls call(user, others...).
  template <class Call>
  static R function(A... with) {
    return call<Call>(std::make_index_sequence<count - 1>(), std::tuple<A&...>(with...));
  }

 private:
  template <class Call, std::size_t... I>
  static R call(std::index_sequence<I...>, std::tuple<A&...> all) {
    constexpr std::size_t from = is_last ? 0 : 1;
    return static_cast<R>(
        Call()(std::get<is_last ? count - 1 : 0>(all), std::get<I + from>(all)...));
  }
};

template <class R, class... V>
struct once_call {
  template <class... A>
  R operator()(void* user, A&... with) const noexcept {
    using value = called_with_t<V...>;
    auto* state = static_cast<callback_state<value>*>(user);
    if (state->claim()) {
      if constexpr (sizeof...(V) > 1) {
        fulfil<value>(*state, V(with)...);
      } else {
        fulfil<value>(*state, with...);
      }
    }
    state->holder_gone();
    return R();
  }
};

}  // namespace detail

/// A C function with user data that is called exactly once, on any thread; `Signature` has the
/// user data, a void*, first or last, and V... are what the other arguments are kept as:
/// `auto [code, text] = co_await from_c_callback<void(int, const char*, void*), int, std::string>(
/// [&](auto function, void* user) { legacy(url, function, user); });` A function that returns
/// something returns its zero. Called twice, it does what C does then; never called, it leaks.
template <class Signature, class... V, class F>
[[nodiscard]] auto from_c_callback(F start,
                                   std::source_location place = std::source_location::current())
    -> future<detail::called_with_t<V...>> {
  using value = detail::called_with_t<V...>;
  using parts = detail::c_signature<Signature>;
  static_assert(sizeof...(V) + 1 == parts::count, "one kept type for each argument but user data");
  auto* made = new detail::callback_state<value>(place);
  future<value> given{detail::core_handle(made)};
  made->add_holder();
  Signature* function = &parts::template function<detail::once_call<typename parts::result, V...>>;
  start(function, static_cast<void*>(made));
  return given;
}

/// A callable behind a C function with user data, for as long as this object lives:
/// `auto heard = make_c_callback<void(int, void*)>([&](int n) { ... }); subscribe(heard.function(),
/// heard.user());`
///
/// Cancel:  no waits.
/// Order:   that of the calls.
/// Bound:   holds the callable and nothing else.
/// Errors:  an exception that leaves the callable goes through the C code that called: don't.
/// Threads: as the callable; it must not be destroyed while it may be called.
template <class Signature, class F>
class c_callback {
  using parts = detail::c_signature<Signature>;
  struct call {
    template <class... A>
    decltype(auto) operator()(void* user, A&... with) const {
      return static_cast<c_callback*>(user)->callable_(with...);
    }
  };

 public:
  explicit c_callback(F callable) : callable_(std::move(callable)) {}
  c_callback(const c_callback&) = delete;
  c_callback& operator=(const c_callback&) = delete;

  Signature* function() const noexcept { return &parts::template function<call>; }
  void* user() noexcept { return this; }

 private:
  F callable_;
};
template <class Signature, class F>
c_callback<Signature, F> make_c_callback(F callable) {
  return c_callback<Signature, F>(std::move(callable));
}

}  // namespace weir
