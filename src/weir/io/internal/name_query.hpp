// One question to name servers, by c-ares on the loop. What is asked and what an answer means is up
// to whoever derives from it: resolve.cpp for hosts, resolve_service.cpp for services.
#pragma once

#include <weir/base/time.hpp>
#include <weir/core/task.hpp>
#include <weir/io/resolve.hpp>

#include <ares.h>

#include <exception>
#include <string_view>
#include <utility>
#include <vector>

namespace weir::detail {

/// A question with a channel of its own: its sockets live exactly as long as the wait for it.
///
/// Cancel:  run() ends at once, and the question with the object.
/// Order:   open(), one question asked of channel(), run().
/// Bound:   one question; `tries` and `try_timeout` of the options bound its time.
/// Errors:  status() is c-ares's; raise_unresolved() makes an error of it. run() raises what
///          failed() was told.
/// Threads: open() may run on another thread, all else on the loop.
class name_query {
 public:
  name_query() = default;
  name_query(const name_query&) = delete;
  name_query& operator=(const name_query&) = delete;

  /// Reads the system's configuration: files, so it may block.
  int open(const resolve_options& options);
  /// Until an answer has come.
  task<> run();
  int status() const noexcept { return status_; }

 protected:
  ~name_query() { close(); }

  /// Ends a question that is open: it hears ARES_EDESTRUCTION. For destructors of those that
  /// derive, since it is they who hear.
  void close() noexcept {
    if (channel_) ares_destroy(std::exchange(channel_, nullptr));
  }
  ares_channel channel() noexcept { return channel_; }
  void answered(int status) noexcept {
    is_done_ = true;
    status_ = status;
  }
  /// What reading an answer has raised: c-ares is C and must not see it. run() raises it.
  void failed(std::exception_ptr why) noexcept { failure_ = std::move(why); }

 private:
  // What c-ares waits for.
  struct watched {
    int descriptor;
    int flags;
    int ready = 0;
  };
  static task<> watch_one(watched* one, scope* around);
  static task<> wait_for_any(std::vector<watched>* watches, duration patience);
  std::vector<watched> watches();
  duration patience() noexcept;
  void go_on(const std::vector<watched>& watches) noexcept;

  ares_channel channel_ = nullptr;
  bool is_done_ = false;
  std::exception_ptr failure_;
  int status_ = ARES_SUCCESS;
};

/// Letters, digits, '-', '.' and '_', and not a number: anything else no server knows.
bool is_plausible_name(std::string_view name) noexcept;

[[noreturn]] void raise_unresolved(std::string_view name, int status);

}  // namespace weir::detail
