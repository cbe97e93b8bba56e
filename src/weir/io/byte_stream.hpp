// What readers, writers, copies and pipes need of the things that they work on, and how they reach
// them. The hard idea: a socket, a TLS socket and a file share verbs but no base class, so that
// plain connections pay for no virtual call; what is built on top is compiled once and reaches them
// through a table of their verbs, one call for each block of bytes.
//
//   source   receive() -> bytes, empty at the end      may: cancel(error) or close(),
//            put_back(bytes)
//   sink     send(pieces, &sent)            may: shutdown_send(), abort(error) or reset(), flush()
#pragma once

#include <weir/base/buffer.hpp>
#include <weir/base/error.hpp>
#include <weir/core/driver.hpp>
#include <weir/core/task.hpp>
#include <weir/core/with_scope.hpp>

#include <concepts>
#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>

namespace weir {

namespace detail {

/// A is a task or a wait that gives a T.
template <class A, class T>
concept awaits_to = requires { typename std::remove_cvref_t<A>::value_type; } &&
                    std::same_as<typename std::remove_cvref_t<A>::value_type, T>;

}  // namespace detail

/// Where bytes come from: at least one at a time, none at the end.
template <class S>
concept byte_source = requires(S& source) {
  { source.receive() } -> detail::awaits_to<bytes>;
};

/// Where bytes go: all of them, and `sent` is right even after a cancellation.
template <class S>
concept byte_sink = requires(S& sink, std::span<const io_slice> pieces, std::size_t* sent) {
  { sink.send(pieces, sent) } -> detail::awaits_to<void>;
};

namespace detail {

/// A task or a single wait, as a task.
template <class A>
WEIR_CORO_WRAPPER auto as_task(A made) {
  if constexpr (is_task<A>) {
    return made;
  } else {
    return awaited<A>(std::move(made));
  }
}

/// The verbs of a source, by its address.
struct source_verbs {
  task<bytes> (*receive)(void* of);
  task<> (*cancel)(void* of, error why);
  bool (*put_back)(void* of, bytes rest) noexcept;  // false: it can't, or not now
  bool (*is_open)(const void* of) noexcept;
};
/// The verbs of a sink, by its address.
struct sink_verbs {
  task<> (*send)(void* of, std::span<const io_slice> pieces, std::size_t* sent);
  task<> (*flush)(void* of);
  task<> (*end)(void* of);
  task<> (*abort)(void* of, error why);
  bool (*is_open)(const void* of) noexcept;
};

template <class S>
bool is_open_end(const void* of) noexcept {
  if constexpr (std::is_constructible_v<bool, const S&>) {
    return static_cast<bool>(*static_cast<const S*>(of));
  } else {
    return true;
  }
}
template <byte_source S>
struct source_kind {
  WEIR_CORO_WRAPPER static task<bytes> receive(void* of) {
    return as_task(static_cast<S*>(of)->receive());
  }
  static task<> cancel(void* of, error why) {
    S& source = *static_cast<S*>(of);
    if constexpr (requires { source.cancel(why); }) {
      if constexpr (std::is_void_v<decltype(source.cancel(why))>) {
        source.cancel(why);
      } else {
        co_await source.cancel(why);
      }
    } else if constexpr (requires { source.close(); }) {
      source.close();
    }
    co_return;
  }
  static bool put_back(void* of, bytes rest) noexcept {
    if constexpr (requires(S& source) { source.put_back(rest); }) {
      return static_cast<S*>(of)->put_back(std::move(rest));
    } else {
      return false;
    }
  }
  static constexpr source_verbs verbs{&receive, &cancel, &put_back, &is_open_end<S>};
};

template <byte_sink S>
struct sink_kind {
  WEIR_CORO_WRAPPER static task<> send(void* of, std::span<const io_slice> pieces,
                                       std::size_t* sent) {
    return as_task(static_cast<S*>(of)->send(pieces, sent));
  }
  static task<> flush(void* of) {
    S& sink = *static_cast<S*>(of);
    if constexpr (requires { sink.flush(); }) {
      if constexpr (std::is_void_v<decltype(sink.flush())>) {
        sink.flush();
      } else {
        co_await sink.flush();
      }
    }
    co_return;
  }
  static task<> end(void* of) {
    if constexpr (requires(S& sink) { sink.shutdown_send(); }) {
      co_await static_cast<S*>(of)->shutdown_send();
    }
    co_return;
  }
  static task<> abort(void* of, error why) {
    S& sink = *static_cast<S*>(of);
    if constexpr (requires { sink.abort(why); }) {
      if constexpr (std::is_void_v<decltype(sink.abort(why))>) {
        sink.abort(why);
      } else {
        co_await sink.abort(why);
      }
    } else if constexpr (requires { sink.reset(); }) {
      sink.reset();
    } else if constexpr (requires { sink.close(); }) {
      sink.close();
    }
    co_return;
  }
  static constexpr sink_verbs verbs{&send, &flush, &end, &abort, &is_open_end<S>};
};

/// A source of any kind; it outlives this.
class source_ref {
 public:
  template <byte_source S>
    requires(!std::same_as<S, source_ref>)  // has the verbs itself: that is a copy
  explicit source_ref(S& of) noexcept : of_(&of), verbs_(&source_kind<S>::verbs) {}

  WEIR_CORO_WRAPPER task<bytes> receive() const { return verbs_->receive(of_); }
  WEIR_CORO_WRAPPER task<> cancel(error why) const { return verbs_->cancel(of_, std::move(why)); }
  bool put_back(bytes rest) const noexcept { return verbs_->put_back(of_, std::move(rest)); }
  bool is_open() const noexcept { return verbs_->is_open(of_); }

 private:
  void* of_;
  const source_verbs* verbs_;
};

/// A sink of any kind; it outlives this.
class sink_ref {
 public:
  template <byte_sink S>
    requires(!std::same_as<S, sink_ref>)
  explicit sink_ref(S& of) noexcept : of_(&of), verbs_(&sink_kind<S>::verbs) {}

  WEIR_CORO_WRAPPER task<> send(std::span<const io_slice> pieces, std::size_t* sent) const {
    return verbs_->send(of_, pieces, sent);
  }
  /// What it has taken and keeps, as a writer does, leaves.
  WEIR_CORO_WRAPPER task<> flush() const { return verbs_->flush(of_); }
  WEIR_CORO_WRAPPER task<> end() const { return verbs_->end(of_); }
  const void* of() const noexcept { return of_; }
  WEIR_CORO_WRAPPER task<> abort(error why) const { return verbs_->abort(of_, std::move(why)); }
  bool is_open() const noexcept { return verbs_->is_open(of_); }

 private:
  void* of_;
  const sink_verbs* verbs_;
};

}  // namespace detail

}  // namespace weir
