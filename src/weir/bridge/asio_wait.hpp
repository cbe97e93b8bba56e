// What stands between a wait and an operation of Asio: the wait asks for the operation's end on the
// executor where the operation lives, and its handler says that it has ended. The hard idea: both
// are run by one executor, so a request that comes after the end finds that out and touches nothing
// of the operation's, which may be gone.
#pragma once

#include <weir/core/wait.hpp>
#include <weir/flow/promise.hpp>

#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>

#include <atomic>
#include <exception>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace weir::detail {

/// Asio's codes: those of the system by their number, the end of a stream, and `io` with a text.
inline error error_of(const boost::system::error_code& code) {
  if (code == boost::asio::error::eof) return errc::end_of_stream;
  if (code.category() == boost::system::system_category() ||
      code.category() == boost::system::generic_category())
    return error::from_os(code.value(), "an operation of Asio");
  return {errc::io, code.message()};
}

/// True for what an operation that was cancelled ends with.
inline bool is_aborted(const std::exception_ptr& failure) noexcept {
  if (is_cancellation(failure)) return true;
  try {
    std::rethrow_exception(failure);
  } catch (const boost::system::system_error& of_asio) {
    return of_asio.code() == boost::asio::error::operation_aborted;
  } catch (...) {
    return false;
  }
}

/// How the wait for an operation cancels it.
class asio_cancel {
 public:
  asio_cancel() = default;
  asio_cancel(const asio_cancel&) = delete;
  asio_cancel& operator=(const asio_cancel&) = delete;
  virtual ~asio_cancel() = default;

  /// From any thread; `self` is kept until the executor has run it. Without memory for that the
  /// operation is waited for.
  virtual void ask(std::shared_ptr<asio_cancel> self) noexcept = 0;
  void note_ended() noexcept { has_ended_.store(true, std::memory_order_release); }
  auto slot() noexcept { return signal_.slot(); }

 protected:
  void emit() {
    if (has_ended_.load(std::memory_order_acquire)) return;
    signal_.emit(boost::asio::cancellation_type::terminal);
  }

 private:
  boost::asio::cancellation_signal signal_;
  std::atomic<bool> has_ended_{false};
};

template <class Executor>
class asio_cancel_on final : public asio_cancel {
 public:
  explicit asio_cancel_on(Executor where) : where_(std::move(where)) {}
  void ask(std::shared_ptr<asio_cancel> self) noexcept override {
    try {
      boost::asio::post(where_, [this, kept = std::move(self)] { emit(); });
    } catch (const std::bad_alloc&) {
      return;
    }
  }

 private:
  Executor where_;
};
/// Of an operation that does not tell where it lives.
class asio_no_cancel final : public asio_cancel {
 public:
  void ask(std::shared_ptr<asio_cancel>) noexcept override {}
};

template <class Start>
std::shared_ptr<asio_cancel> cancel_for(const Start& start) {
  if constexpr (requires { start.get_executor(); }) {
    using executor = std::decay_t<decltype(start.get_executor())>;
    return std::make_shared<asio_cancel_on<executor>>(start.get_executor());
  } else {
    return std::make_shared<asio_no_cancel>();
  }
}

/// Of a handler: its slot, and the note that the operation has ended, called or not.
class asio_part {
 public:
  using cancellation_slot_type = boost::asio::cancellation_slot;

  // NOLINTNEXTLINE(google-explicit-constructor): a part of an aggregate
  asio_part(std::shared_ptr<asio_cancel> of) noexcept : of_(std::move(of)) {}
  asio_part(asio_part&&) noexcept = default;
  asio_part& operator=(asio_part&&) = delete;
  ~asio_part() {
    if (of_) of_->note_ended();
  }
  cancellation_slot_type get_cancellation_slot() const noexcept { return of_->slot(); }

 protected:
  void has_ended() noexcept { of_->note_ended(); }

 private:
  std::shared_ptr<asio_cancel> of_;
};

/// Waits for the operation's end, whatever becomes of the task: it may use the task's memory.
template <class T>
class [[nodiscard]] asio_wait final : public leaf_wait<asio_wait<T>, T>,
                                      settle_listener,
                                      post_node {
  using base = leaf_wait<asio_wait, T>;

 public:
  // The operation has begun before the await: who does not await it, as a select may, neither ends
  // it nor waits for it. Asked to end, it has done what it has done.
  static constexpr auto when_cancelled = cancel_safety::partial;
  asio_wait(core_handle of, std::shared_ptr<asio_cancel> cancel) noexcept
      : base(kind_), of_(std::move(of)), cancel_(std::move(cancel)) {}
  asio_wait(asio_wait&& other) noexcept  // only before the wait begins
      : base(static_cast<base&&>(other)),
        of_(std::move(other.of_)),
        cancel_(std::move(other.cancel_)) {}
  asio_wait& operator=(asio_wait&&) = delete;
  ~asio_wait() = default;

  // The operation began before the wait: a task that is cancelled already waits for it, too.
  bool await_ready() noexcept {
    if (!this->task->is_cancelled() || of_->is_settled()) return base::await_ready();
    this->task->found = await_outcome::must_wait;
    return false;
  }
  bool try_now() noexcept { return of_->is_settled(); }
  void enlist() noexcept {
    home_ = loop::current();
    this->run = [](post_node& node) noexcept { static_cast<asio_wait&>(node).answered(); };
    if (!of_->listen(*this)) return answered();
    if (this->task->is_cancelled()) leave(*this);
  }
  result<T> take() {
    if (of_->phase() == settled_as::rejected)
      return std::unexpected<error>(error_of(of_->hear_failure()));
    if constexpr (std::is_void_v<T>) {
      return {};
    } else {
      return std::move(value_of<T>(*of_));
    }
  }
  T await_resume() {
    if (of_->phase() == settled_as::rejected) std::rethrow_exception(of_->hear_failure());
    if constexpr (!std::is_void_v<T>) return std::move(value_of<T>(*of_));
  }

 private:
  static void leave(wait& w) noexcept {
    auto& self = static_cast<asio_wait&>(w);
    self.is_given_up_ = true;
    self.cancel_->ask(self.cancel_);
  }
  void source_settled() noexcept override {
    if (home_ == loop::current()) return answered();
    home_->post_node(*this);
  }
  void answered() noexcept {
    const bool is_rejected = of_->phase() == settled_as::rejected;
    if (is_given_up_ && is_rejected && is_aborted(of_->hear_failure())) {
      this->complete_cancelled();
    } else {
      this->complete();
    }
  }
  static constexpr wait_kind kind_{"an operation of Asio", &leave};

  core_handle of_;
  std::shared_ptr<asio_cancel> cancel_;
  loop* home_ = nullptr;
  bool is_given_up_ = false;
};

}  // namespace weir::detail
