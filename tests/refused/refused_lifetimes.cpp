// Misuse of lifetimes that must not compile. The compiler itself checks this file (clang's
// -verify): each refusal stands where the comment says so, and what has no comment is accepted.
#include <weir/core.hpp>
#include <weir/flow/oneshot.hpp>
#include <weir/flow/promise.hpp>

#include <string>
#include <tuple>
#include <utility>

using namespace weir::literals;

namespace {

weir::task<int> length_of(const std::string& text) {
  co_await weir::sleep(1_ms);
  co_return static_cast<int>(text.size());
}
weir::task<int> length_of_own(std::string text) { co_return static_cast<int>(text.size()); }

// A temporary lives as long as the await of the same expression, and no longer.
weir::task<> arguments() {
  co_await length_of(std::string("lives until the await has ended"));
  weir::task<int> own = length_of_own(std::string("the task keeps it"));
  co_await std::move(own);
  weir::task<int> late =
      length_of(std::string("gone"));  // expected-error {{temporary whose address is used}}
  co_await std::move(late);
}

// A lambda that is a coroutine lives no longer than the expression that makes and calls it; its
// captures live in the lambda, not in the coroutine.
weir::task<> lambdas(int n) {
  weir::task<> parameter = [](int by) -> weir::task<> { co_await weir::sleep(1_ms * by); }(n);
  co_await std::move(parameter);
  weir::task<> capture =       // tidy-allow(captures): that is what must not compile
      [n]() -> weir::task<> {  // expected-error {{temporary whose address is used}}
    co_await weir::sleep(1_ms * n);
  }();
  co_await std::move(capture);
}

// A task that refers to what ends with the function can't leave it.
WEIR_CORO_WRAPPER weir::task<int> leaves_with_a_local() {
  const std::string local = "gone";
  return length_of(local);  // expected-error {{address of stack memory}}
}
WEIR_CORO_WRAPPER weir::task<int> leaves_with_a_parameter(std::string text) {
  return length_of(text);  // expected-error {{address of stack memory}}
}
WEIR_CORO_WRAPPER weir::task<int> passes_on(const std::string& text) { return length_of(text); }

// Scopes end inside out: they live in the frame that awaits them and nowhere else.
void scopes(weir::scope& given, weir::loop& on) {
  weir::scope moved = std::move(given);  // expected-error {{call to deleted constructor}}
  weir::scope copied = given;            // expected-error {{call to deleted constructor}}
  weir::scope_options options;
  weir::scope made(on, nullptr, nullptr, options);
  // expected-error@-1 {{calling a private constructor}} expected-error@-1 {{private destructor}}
}

// A value that a promise carries is one.
void promises() {
  const weir::promise<int*> pointer;
  const weir::promise<int&> reference;  // expected-error@*:* {{is no reference; use a pointer}}
}

// Frames are aligned to 16 bytes, and so is all that lies in one.
struct alignas(16) sixteen {
  double of[2];
};
struct alignas(32) thirty_two {
  double of[4];
};
weir::task<sixteen> gives_sixteen() { co_return {}; }
weir::task<thirty_two> gives_thirty_two() { co_return {}; }
// expected-error@*:* {{a task's value is aligned to at most 16 bytes, as frames are}}
weir::generator<thirty_two> yields_thirty_two() { co_yield {}; }
// expected-error@*:* {{a generator's values are aligned to at most 16 bytes, as frames are}}
void keeps(weir::scope& in, weir::loop& on) {
  const weir::promise<sixteen> small;
  const weir::promise<thirty_two> large;
  // expected-error@*:* {{the value of a promise is aligned to at most 16 bytes}}
  const auto halves = weir::oneshot<thirty_two>();
  // expected-error@*:* {{what goes through here is aligned to at most 16 bytes}}
  in.spawn([](const thirty_two&) -> weir::task<> { co_return; }, thirty_two());
  // expected-error@*:* {{what is spawned is aligned to at most 16 bytes, as frames are}}
  std::ignore = on.post([one = thirty_two()] { std::ignore = one; });
  // expected-error@*:* {{what a post captures is aligned to at most 16 bytes}}
}

[[maybe_unused]] auto uses() {
  return std::make_tuple(&arguments, &lambdas, &leaves_with_a_local, &leaves_with_a_parameter,
                         &passes_on, &scopes, &promises, &gives_sixteen, &gives_thirty_two,
                         &yields_thirty_two, &keeps);
}

}  // namespace
