// A Node-API addon that lends weir's promise to JavaScript, so that the public test suite of
// Promises/A+ can run against it. The hard idea: every state, every line of handlers and every
// adoption of another promise is weir's own, on a loop of its own thread; JavaScript only gives
// values and the functions to call, on its thread. What A+ says of foreign thenables (2.3.3) has no
// counterpart in C++ and stands in adapter.js.
//
//   JavaScript's thread                     weir's loop
//   then(source, call) ---- post ---------> source.then(handler)
//   call(value, result) <-- queue --------- handler returns result's future
//   resolve(result, x) -------------------> the handler's future follows it
#include <weir/flow/promise.hpp>

#include <weir/core.hpp>
#include <weir/core/unhandled.hpp>
#include <weir/flow/event.hpp>
#include <weir/io/make_driver.hpp>

#include <node_api.h>

#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace {

napi_value undefined_in(napi_env env) {
  napi_value none = nullptr;
  napi_get_undefined(env, &none);
  return none;
}
void require(napi_env env, napi_status status, const char* what) {
  if (status != napi_ok) napi_fatal_error(what, NAPI_AUTO_LENGTH, what, NAPI_AUTO_LENGTH);
  static_cast<void>(env);
}

/// A JavaScript value that C++ keeps. References are made and dropped on JavaScript's thread only;
/// the last owner may be anywhere, so what is dropped waits for the next visit.
class js_values {
 public:
  // A reference to a one-element array, since old Node-API refuses references to primitives.
  napi_ref keep(napi_env env, napi_value value) {
    drop_what_waits(env);
    napi_value box = nullptr;
    napi_ref reference = nullptr;
    require(env, napi_create_array_with_length(env, 1, &box), "create_array");
    require(env, napi_set_element(env, box, 0, value), "set_element");
    require(env, napi_create_reference(env, box, 1, &reference), "create_reference");
    return reference;
  }
  static napi_value get(napi_env env, napi_ref reference) {
    napi_value box = nullptr;
    napi_value value = nullptr;
    require(env, napi_get_reference_value(env, reference, &box), "get_reference_value");
    require(env, napi_get_element(env, box, 0, &value), "get_element");
    return value;
  }
  void drop(napi_ref reference) {
    const std::lock_guard held(lock_);
    dropped_.push_back(reference);
  }
  void drop_what_waits(napi_env env) {
    std::vector<napi_ref> now;
    {
      const std::lock_guard held(lock_);
      now.swap(dropped_);
    }
    for (napi_ref one : now) napi_delete_reference(env, one);
  }

 private:
  std::mutex lock_;
  std::vector<napi_ref> dropped_;
};

js_values& values() {
  static auto* const all = new js_values;  // finalizers may run after static destructors
  return *all;
}

class js_value {
 public:
  js_value(napi_env env, napi_value value)
      : reference_(values().keep(env, value), [](napi_ref one) { values().drop(one); }) {}
  napi_value get(napi_env env) const { return js_values::get(env, reference_.get()); }

 private:
  std::shared_ptr<napi_ref__> reference_;
};

/// A reason that JavaScript gave.
struct js_reason : std::exception {
  explicit js_reason(js_value given) : value(std::move(given)) {}
  const char* what() const noexcept override { return "a reason of JavaScript"; }
  js_value value;
};

using js_future = weir::shared_future<js_value>;

/// What stands behind a promise of JavaScript.
struct js_promise {
  weir::promise<js_value> source;
  js_future future = source.get_future();
};

/// In C++ a promise that goes without a result is broken; in JavaScript it stays pending for ever,
/// and going is what the garbage collector decides. So these are kept. JavaScript's thread only.
std::vector<std::shared_ptr<js_promise>>& pending_for_ever() {
  static auto* const all = new std::vector<std::shared_ptr<js_promise>>;
  return *all;
}

napi_value wrap(napi_env env, std::shared_ptr<js_promise> promise) {
  napi_value object = nullptr;
  require(env, napi_create_object(env, &object), "create_object");
  auto* kept = new std::shared_ptr<js_promise>(std::move(promise));
  const auto finalize = [](napi_env, void* data, void*) {
    const std::unique_ptr<std::shared_ptr<js_promise>> gone(
        static_cast<std::shared_ptr<js_promise>*>(data));
    if (!(*gone)->source.is_resolved()) pending_for_ever().push_back(std::move(*gone));
  };
  require(env, napi_wrap(env, object, kept, finalize, nullptr, nullptr), "wrap");
  return object;
}
std::shared_ptr<js_promise> unwrap(napi_env env, napi_value object) {
  void* data = nullptr;
  require(env, napi_unwrap(env, object, &data), "unwrap");
  return *static_cast<std::shared_ptr<js_promise>*>(data);
}

/// A handler that is to be called on JavaScript's thread.
struct js_call {
  js_value function;
  std::function<napi_value(napi_env)> argument;
  std::shared_ptr<js_promise> result;
};

/// weir's side: a loop on a thread, and the queue of calls to JavaScript.
class side {
 public:
  explicit side(napi_threadsafe_function calls) : calls_(calls) {
    std::promise<weir::loop*> started;
    auto ready = started.get_future();
    thread_ = std::thread([this, &started] { run(started); });
    loop_ = ready.get();
  }
  ~side() {
    post([this] { loop_->root().cancel("node ends"); });
    thread_.join();
    napi_release_threadsafe_function(calls_, napi_tsfn_abort);
  }
  template <class F>
  void post(F function) {
    if (!loop_->post(std::move(function)))
      napi_fatal_error("post", NAPI_AUTO_LENGTH, "the loop takes no more posts", NAPI_AUTO_LENGTH);
  }
  void call(js_call one) {
    auto* kept = new js_call(std::move(one));
    if (napi_call_threadsafe_function(calls_, kept, napi_tsfn_blocking) != napi_ok) delete kept;
  }

 private:
  void run(std::promise<weir::loop*>& started) {
    const auto driver = weir::make_driver();
    weir::loop on(*driver);
    on.root().spawn([]() -> weir::task<> {
      weir::event never;
      co_await never.wait();
    });
    started.set_value(&on);
    on.run();
  }

  napi_threadsafe_function calls_;
  weir::loop* loop_ = nullptr;
  std::thread thread_;
};
std::unique_ptr<side> weir_side;

/// An error of weir's own as a TypeError: it has one kind here, a promise resolved with itself.
napi_value reason_in(napi_env env, const std::exception_ptr& reason) {
  try {
    std::rethrow_exception(reason);
  } catch (const js_reason& e) {
    return e.value.get(env);
  } catch (const std::exception& e) {
    napi_value text = nullptr;
    napi_value error = nullptr;
    require(env, napi_create_string_utf8(env, e.what(), NAPI_AUTO_LENGTH, &text), "create_string");
    require(env, napi_create_type_error(env, nullptr, text, &error), "create_type_error");
    return error;
  }
}

/// On JavaScript's thread, from its event loop: calls function(argument, result).
void make_call(napi_env env, napi_value /*function*/, void* /*context*/, void* data) {
  const std::unique_ptr<js_call> one(static_cast<js_call*>(data));
  if (!env) return;  // JavaScript ends: the result's promise is broken
  napi_value arguments[2] = {one->argument(env), wrap(env, one->result)};
  napi_value ignored = nullptr;
  require(
      env,
      napi_call_function(env, undefined_in(env), one->function.get(env), 2, arguments, &ignored),
      "the adapter's function threw");
}

struct arguments {
  napi_value at[3] = {};
  arguments(napi_env env, napi_callback_info info) {
    std::size_t count = 3;
    require(env, napi_get_cb_info(env, info, &count, at, nullptr, nullptr), "get_cb_info");
  }
};

napi_value make(napi_env env, napi_callback_info /*info*/) {
  return wrap(env, std::make_shared<js_promise>());
}
napi_value fulfil(napi_env env, napi_callback_info info) {
  const arguments given(env, info);
  unwrap(env, given.at[0])->source.resolve(js_value(env, given.at[1]));
  return undefined_in(env);
}
napi_value adopt(napi_env env, napi_callback_info info) {
  const arguments given(env, info);
  unwrap(env, given.at[0])->source.resolve(unwrap(env, given.at[1])->future);
  return undefined_in(env);
}
napi_value reject(napi_env env, napi_callback_info info) {
  const arguments given(env, info);
  unwrap(env, given.at[0])
      ->source.reject(std::make_exception_ptr(js_reason(js_value(env, given.at[1]))));
  return undefined_in(env);
}

using value_handler = std::function<js_future(const js_value&)>;
using error_handler = std::function<js_future(std::exception_ptr)>;

/// null stays an empty function: weir lets the outcome pass by it (A2).
template <class Handler, class Argument, class Show>
Handler handler_of(napi_env env, napi_value function, Show show) {
  napi_valuetype type = napi_undefined;
  require(env, napi_typeof(env, function, &type), "typeof");
  if (type != napi_function) return nullptr;
  return [call = js_value(env, function), show](Argument with) {
    auto result = std::make_shared<js_promise>();
    weir_side->call({.function = call,
                     .argument = [with, show](napi_env in) { return show(in, with); },
                     .result = result});
    return result->future;
  };
}

napi_value then(napi_env env, napi_callback_info info) {
  const arguments given(env, info);
  auto next = std::make_shared<js_promise>();
  auto on_value = handler_of<value_handler, const js_value&>(
      env, given.at[1], [](napi_env in, const js_value& value) { return value.get(in); });
  auto on_error = handler_of<error_handler, std::exception_ptr>(env, given.at[2], &reason_in);
  weir_side->post([source = unwrap(env, given.at[0])->future, next, on_value = std::move(on_value),
                   on_error = std::move(on_error)]() mutable {
    next->source.resolve(source.then(std::move(on_value), std::move(on_error)));
  });
  return wrap(env, next);
}

napi_value close(napi_env env, napi_callback_info /*info*/) {
  weir_side.reset();
  pending_for_ever().clear();
  return undefined_in(env);
}

napi_value init(napi_env env, napi_value exports) {
  // Reasons that nobody asks for are JavaScript's business here.
  weir::set_unhandled_handler([](const weir::unhandled_error&) noexcept {});
  napi_value name = nullptr;
  napi_threadsafe_function calls = nullptr;
  require(env, napi_create_string_utf8(env, "weir", NAPI_AUTO_LENGTH, &name), "create_string");
  require(env,
          napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr,
                                          nullptr, &make_call, &calls),
          "create_threadsafe_function");
  weir_side = std::make_unique<side>(calls);
  const napi_property_descriptor functions[] = {
      {"make", nullptr, &make, nullptr, nullptr, nullptr, napi_default, nullptr},
      {"fulfil", nullptr, &fulfil, nullptr, nullptr, nullptr, napi_default, nullptr},
      {"adopt", nullptr, &adopt, nullptr, nullptr, nullptr, napi_default, nullptr},
      {"reject", nullptr, &reject, nullptr, nullptr, nullptr, napi_default, nullptr},
      {"then", nullptr, &then, nullptr, nullptr, nullptr, napi_default, nullptr},
      {"close", nullptr, &close, nullptr, nullptr, nullptr, napi_default, nullptr},
  };
  require(env, napi_define_properties(env, exports, std::size(functions), functions),
          "define_properties");
  return exports;
}

}  // namespace

NAPI_MODULE(weir_promise, init)
