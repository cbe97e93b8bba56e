// One question to name servers, by c-ares on the loop. What is asked and what an answer means is up
// to whoever derives from it: resolve.cpp for hosts, resolve_service.cpp for services.
//
// On the kernel c-ares has descriptors and a clock of its own. In the virtual world its sockets are
// the world's (name_lines.hpp), and its clock, which can't be set, never ends a try: that is done
// here, by the loop's.
#pragma once

#include <weir/base/time.hpp>
#include <weir/core/task.hpp>
#include <weir/io/internal/name_lines.hpp>
#include <weir/io/resolve.hpp>

#include <ares.h>

#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weir::detail {

/// A question with a channel of its own: its sockets live exactly as long as the wait for it.
///
/// Cancel:  run() ends at once, and the question with the object.
/// Order:   run() calls ask(), in the virtual world once for each try.
/// Bound:   one question; `tries` and `try_timeout` of the options bound its time.
/// Errors:  status() is c-ares's; raise_unresolved() makes an error of it. run() raises what
///          failed() was told.
/// Threads: the loop's; the system's configuration is read on another one.
class name_query {
 public:
  name_query() = default;
  name_query(const name_query&) = delete;
  name_query& operator=(const name_query&) = delete;

  /// Until an answer has come, or no server has one.
  task<> run(resolve_options options);
  int status() const noexcept { return status_; }

 protected:
  ~name_query() { close(); }

  /// Asks the question of channel(); what an earlier try has found is forgotten.
  virtual void ask() = 0;
  bool is_in_world() const noexcept { return lines_ != nullptr; }
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
  int open(const resolve_options& options);
  int open_in_world(const char* server);
  task<> run_in_world(const resolve_options* options);
  task<> try_server(const char* server, duration patience, bool is_last);
  bool is_final() const noexcept;
  static task<> watch_one(watched* one, scope* around);
  static task<> wait_for_any(std::vector<watched>* watches, duration patience);
  std::vector<watched> watches();
  duration patience() noexcept;
  void go_on(const std::vector<watched>& watches) noexcept;

  std::unique_ptr<name_lines> lines_;  // in the virtual world
  ares_channel channel_ = nullptr;
  bool is_done_ = false;
  std::exception_ptr failure_;
  int status_ = ARES_SUCCESS;
};

/// Whether servers are asked for this very name, so that its families can be asked for apart and
/// are those of one host: it is not in /etc/hosts, and no search domain is put behind it.
task<bool> is_asked_as_it_is(const std::string* host);

/// Letters, digits, '-', '.' and '_', and not a number: anything else no server knows.
bool is_plausible_name(std::string_view name) noexcept;

[[noreturn]] void raise_unresolved(std::string_view name, int status);

}  // namespace weir::detail
