// For tests of watched folders only: changes that any driver can make, and what is told of them.
#pragma once

#include <weir/io/contract_test.hpp>
#include <weir/io/dir_watch.hpp>
#include <weir/io/file.hpp>
#include <weir/sim/virtual_watches.hpp>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstddef>
#include <fstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weir::contract {

inline std::string text_of(const dir_event& one) {
  std::string text = name(one.what);
  if (!one.old_name.empty()) text += " " + one.old_name + " ->";
  if (!one.name.empty()) text += " " + one.name;
  if (one.is_directory) text += "/";
  return one.is_found ? text + " (found)" : text;
}

inline task<std::vector<std::string>> take(dir_watch& from, std::size_t count) {
  std::vector<std::string> all;
  while (all.size() < count) all.push_back(text_of(co_await from.next()));
  co_return all;
}

/// Created, changed and written.
inline task<> write(std::string path, std::string_view text) {
  const open_options how{.write = true, .create = true, .truncate = true};
  file made = co_await open_file(std::move(path), how);
  co_await made.write_at(0, text);
}

/// Created, and nothing else.
inline task<> touch(std::string path) {
  const file made = co_await open_file(std::move(path), {.create = true, .exclusive = true});
}

/// With the folders above it that are not there.
inline task<> make(std::string folder) {
  for (std::size_t end = 0; end != std::string::npos;) {
    end = folder.find('/', end + 1);
    const std::string upper = folder.substr(0, end);
    if (!path_status(upper)) co_await make_dir(upper);
  }
}

/// A folder "d" of its own, in which tests make changes and of which they are told.
///
/// Cancel:  the program ends by itself.
/// Order:   none.
/// Bound:   as fixture.
/// Errors:  as fixture.
/// Threads: the test's.
class watch_fixture : public fixture {
 protected:
  template <class Body>
  void run(Body body) {
    fixture::run([&]() -> task<> {
      co_await make_dir(path("d"));
      co_await body();
    });
  }
  std::string in(const std::string& entry) const { return path("d/" + entry); }

  /// Events that one watch keeps.
  std::size_t most() const {
    std::size_t kept = virtual_watches::events_max;
    if (is_kernel()) std::ifstream("/proc/sys/fs/inotify/max_queued_events") >> kept;
    return kept;
  }
  /// More events than that.
  task<> overflow() const {
    const std::string file = in("a");
    for (std::size_t i = 0; i < most(); ++i) {
      if (is_kernel()) {  // by calls of the pool it would take seconds
        ::close(::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
        ::unlink(file.c_str());
      } else {
        co_await touch(file);
        co_await remove_path(file);
      }
    }
  }
};

}  // namespace weir::contract
