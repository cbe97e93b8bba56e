#include <weir/io/pipe.hpp>

#include <weir/base/assert.hpp>
#include <weir/base/buffer.hpp>
#include <weir/base/defect.hpp>
#include <weir/core/as_result.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/wait.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/io/internal/side_error.hpp>

#include <algorithm>
#include <array>
#include <exception>
#include <tuple>
#include <utility>

namespace weir::detail {

namespace {

/// A wait for the other side of a pipe. One task waits on each side.
class side_wait;
struct side {
  side_wait* waiting = nullptr;
  void wake() noexcept;
};

class side_wait final : public leaf_wait<side_wait, void> {
 public:
  static constexpr auto when_cancelled = cancel_safety::nothing_happened;
  side_wait(const wait_kind& kind, side& on) noexcept : leaf_wait(kind), on_(&on) {}
  bool try_now() noexcept { return false; }
  void enlist() noexcept {
    WEIR_ASSERT(!on_->waiting);
    on_->waiting = this;
  }
  result<void> take() noexcept { return {}; }

  static void leave(wait& w) noexcept {
    static_cast<side_wait&>(w).on_->waiting = nullptr;
    w.complete_cancelled();
  }

 private:
  side* on_;
};

void side::wake() noexcept {
  if (waiting) std::exchange(waiting, nullptr)->complete();
}

constinit const wait_kind pipe_room_kind{"room in a pipe", &side_wait::leave};
constinit const wait_kind bytes_kind{"bytes in a pipe", &side_wait::leave};

/// What was read and not yet written.
class piece_queue {
 public:
  static constexpr std::size_t pieces_max = 64;

  bool is_empty() const noexcept { return count_ == 0; }
  /// W8: a piece counts until it has been written.
  bool has_room(std::size_t bytes_max) const noexcept {
    return count_ < pieces_max && bytes_ < bytes_max;
  }
  void push(bytes piece) noexcept {
    WEIR_ASSERT(count_ < pieces_max);
    bytes_ += piece.size();
    pieces_[(first_ + count_++) % pieces_max] = std::move(piece);
  }
  /// Points `into` at all of it, oldest first.
  std::size_t slices(std::array<io_slice, pieces_max>& into) const noexcept {
    for (std::size_t i = 0; i < count_; ++i) {
      const bytes& piece = pieces_[(first_ + i) % pieces_max];
      into[i] = {piece.data(), piece.size()};
    }
    return count_;
  }
  void drop_front(std::size_t size) noexcept {
    bytes_ -= size;
    while (count_ != 0 && pieces_[first_].size() <= size) {
      size -= pieces_[first_].size();
      pieces_[first_] = bytes();
      first_ = (first_ + 1) % pieces_max;
      --count_;
    }
    if (size != 0) pieces_[first_] = pieces_[first_].slice(size);
  }
  /// The newest piece, taken out.
  bytes pop_back() noexcept {
    bytes_ -= pieces_[(first_ + count_ - 1) % pieces_max].size();
    return std::exchange(pieces_[(first_ + --count_) % pieces_max], bytes());
  }

 private:
  std::array<bytes, pieces_max> pieces_;
  std::size_t first_ = 0;
  std::size_t count_ = 0;
  std::size_t bytes_ = 0;
};

/// One pipe: two tasks on a queue, and what they came to.
///
/// Cancel:  its tasks end where they wait; what was read stays in the queue.
/// Order:   as read.
/// Bound:   queue_bytes_max and one piece.
/// Errors:  kept in source_failure and sink_failure.
/// Threads: one loop.
class pipe_flow {
 public:
  pipe_flow(source_ref from, sink_ref to, const pipe_options& options,
            copy_progress& progress) noexcept
      : from_(from),
        to_(to),
        queue_bytes_max_(std::max<std::size_t>(options.queue_bytes_max, 1)),
        progress_(progress) {}
  pipe_flow(const pipe_flow&) = delete;
  pipe_flow& operator=(const pipe_flow&) = delete;

  /// Until the source has ended and all is written, or a side has failed.
  task<> run() {
    try {
      co_await with_scope({.name = "pipe"}, [&](scope& s) -> task<> {
        s.spawn(&pipe_flow::write, this, &s);
        co_await read();
      });
    } catch (...) {  // no memory for the second task
      if (!sink_failure) sink_failure = std::current_exception();
    }
  }
  /// All is written, or can't be; false after a cancellation. That of a child is not told to the
  /// body that has ended before.
  bool has_ended() const noexcept { return is_written_ || sink_failure; }
  /// Writes what has been read, and flushes a sink that is to be broken.
  task<> drain(bool and_flush) {
    if (is_planted("io: a cancelled pipe drops what it has read")) co_return;
    while (!queue_.is_empty()) co_await write_once();
    if (and_flush) co_await to_.flush();
  }
  /// What can't be written any more, to where it came from if that takes it.
  void put_back() noexcept {
    while (!queue_.is_empty()) {
      bytes piece = queue_.pop_back();
      const std::size_t size = piece.size();
      if (!from_.put_back(std::move(piece))) return;
      progress_.received -= size;
    }
  }

  std::exception_ptr source_failure;
  std::exception_ptr sink_failure;

 private:
  task<> read() {
    try {
      for (;;) {
        while (!queue_.has_room(queue_bytes_max_)) co_await side_wait(pipe_room_kind, reads_);
        bytes piece = co_await from_.receive();
        if (piece.empty()) break;
        progress_.received += piece.size();
        queue_.push(std::move(piece));
        writes_.wake();
      }
    } catch (...) {
      source_failure = std::current_exception();
    }
    is_read_ = true;
    writes_.wake();
  }
  task<> write(scope* around) {
    try {
      for (;;) {
        while (!queue_.is_empty()) co_await write_once();
        if (is_read_) {
          is_written_ = true;
          co_return;
        }
        co_await side_wait(bytes_kind, writes_);
      }
    } catch (...) {
      sink_failure = std::current_exception();
    }
    around->cancel("the sink of the pipe failed");
  }
  /// Sends what is there as one. Books what was sent, whatever ends the send.
  task<> write_once() {
    struct books {
      pipe_flow& of;
      std::size_t sent = 0;
      ~books() {
        of.queue_.drop_front(sent);
        of.progress_.sent += sent;
        of.reads_.wake();
      }
    } done{*this};
    std::array<io_slice, piece_queue::pieces_max> pieces;
    const std::size_t count = queue_.slices(pieces);
    co_await to_.send({pieces.data(), count}, &done.sent);
  }

  source_ref from_;
  sink_ref to_;
  std::size_t queue_bytes_max_;
  copy_progress& progress_;
  piece_queue queue_;
  side reads_;   // the reading task waits for room
  side writes_;  // the writing task waits for bytes
  bool is_read_ = false;
  bool is_written_ = false;
};

std::exception_ptr was_closed() {
  return std::make_exception_ptr(exception(error(errc::closed, "it was closed before")));
}

/// Tells a side, also where the pipe is cancelled before that or meanwhile: then within `limit`,
/// once more from the beginning.
template <class Verb>
task<> tell(duration limit, Verb verb) {
  const auto told = co_await as_result(verb());
  if (told) co_return;
  if (told.error().code() != errc::cancelled || !scope::current()->is_cancelled())
    raise(told.error());
  co_await shield(with_timeout(limit, verb()));
}

/// W10 and W11 once a side has failed: tells the other one, and raises what failed first, or what
/// went wrong in telling.
task<> fail_pipe(pipe_flow& flow, source_ref from, sink_ref to, const pipe_options& options,
                 const copy_progress& progress) {
  flow.put_back();
  if (flow.source_failure) {
    error why = side_error("pipe_to", "source", progress.sent, flow.source_failure);
    if (!options.keep_sink)
      co_await tell(options.drain_timeout, [&]() -> task<> { co_await to.abort(why); });
    raise(std::move(why));
  }
  error why = side_error("pipe_to", "sink", progress.sent, flow.sink_failure);
  if (!options.keep_source)
    co_await tell(options.drain_timeout, [&]() -> task<> { co_await from.cancel(why); });
  raise(std::move(why));
}

/// W12, after a cancellation: what was read is written, then both sides are told, but a source that
/// has failed. Each of these has drain_timeout, as a side that answers nothing must not hold the
/// program.
task<> end_cancelled(pipe_flow& flow, source_ref from, sink_ref to, const pipe_options& options,
                     error why) {
  const auto drained = co_await as_result(
      with_timeout(options.drain_timeout, flow.drain(/*and_flush=*/!options.keep_sink)));
  if (!drained) flow.put_back();
  std::exception_ptr failure;
  if (!options.keep_sink) {
    try {
      co_await with_timeout(options.drain_timeout, to.abort(why));
    } catch (...) {
      failure = std::current_exception();
    }
  }
  if (!options.keep_source && !flow.source_failure)
    co_await with_timeout(options.drain_timeout, from.cancel(why));
  if (failure) std::rethrow_exception(failure);
}

/// The end of a sink that has taken all. What can't be told in time after a cancellation breaks it.
task<> end_sink(sink_ref to, duration limit) {
  std::exception_ptr failure;
  try {
    co_await tell(limit, [&]() -> task<> { co_await to.end(); });
    co_return;
  } catch (...) {
    if (!scope::current()->is_cancelled()) throw;
    failure = std::current_exception();
  }
  co_await shield(with_timeout(limit, to.abort(error(errc::cancelled, "its end was not told"))));
  std::rethrow_exception(failure);
}

}  // namespace

task<std::uint64_t> pipe_bytes(source_ref from, sink_ref to, pipe_options options) {
  if (options.drain_timeout < duration())
    raise(error(errc::invalid_argument, "pipe_to: drain_timeout must not be negative"));
  copy_progress own;
  copy_progress& progress = options.progress ? *options.progress : own;
  progress = {};
  pipe_flow flow(from, to, options, progress);
  if (!from.is_open()) {
    flow.source_failure = was_closed();
  } else if (!to.is_open()) {
    flow.sink_failure = was_closed();
  } else if (std::ignore = co_await as_result(flow.run()); !flow.has_ended()) {
    const error why = flow.source_failure
                          ? side_error("pipe_to", "source", progress.sent, flow.source_failure)
                          : error(errc::cancelled, scope::current()->reason().text);
    co_await shield(end_cancelled(flow, from, to, options, why));
    if (!flow.source_failure) co_await checkpoint();
    raise(why);
  }
  if (flow.source_failure || flow.sink_failure) {
    co_await fail_pipe(flow, from, to, options, progress);
  }
  if (!options.keep_open) co_await end_sink(to, options.drain_timeout);
  co_return progress.sent;
}

}  // namespace weir::detail
