// Files, folders, names, rules for addresses and signals, one function for each. It runs to its end
// by itself.
#include <weir/io.hpp>

#include <weir/core/run.hpp>
#include <weir/io/address_rules.hpp>
#include <weir/io/descriptor_limit.hpp>
#include <weir/io/make_driver.hpp>
#include <weir/io/patient_lock.hpp>
#include <weir/io/readiness.hpp>

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

using namespace weir::literals;

namespace {

// [replace]
weir::task<> replace_durably(std::string folder, std::string_view text) {
  const weir::directory in = co_await weir::open_dir(folder);
  weir::file next = co_await in.open_file("settings.new", {.write = true, .create = true});
  co_await next.write_at(0, text);
  co_await next.sync();                            // the bytes are on the disk ...
  co_await in.rename("settings.new", "settings");  // ... before the name says so
  co_await in.sync();                              // and now the name is, too
}
// [/replace]

// [first]
// Of several who would make the file one does; whoever writes it anew drops what it held.
weir::task<> be_first(std::string path) {
  for (const char* who : {"one", "other"}) {
    const auto made = co_await weir::as_result(
        weir::open_file(path, {.write = true, .create = true, .exclusive = true}));
    std::printf("%s: %s\n", who, made ? "first" : std::string(name(made.error().code())).c_str());
  }
  weir::file anew = co_await weir::open_file(path, {.write = true, .truncate = true});
  co_await anew.write_at(0, "anew\n");
}
// [/first]

// [read]
weir::task<std::string> read_whole(std::string path) {
  weir::file from = co_await weir::open_file(std::move(path));
  std::string text(from.size(), '\0');
  text.resize(co_await from.read_at(0, text));
  co_return text;
}
// [/read]

// [folder]
weir::task<> empty_folder(std::string folder) {
  std::vector<std::string> names = weir::list_dir(folder);
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    std::printf("remove: %s\n", name.c_str());
    const std::string inside = "/" + name;
    co_await weir::remove_path(folder + inside);
  }
  co_await weir::remove_dir(folder);
}
// [/folder]

weir::task<> file_tour(std::string folder) {
  const std::string inner = folder + "/app";
  co_await weir::make_dir(inner);
  co_await replace_durably(inner, "port = 7000\n");
  std::printf("%s", (co_await read_whole(inner + "/settings")).c_str());
  const auto status = weir::path_status(inner + "/settings.new");
  co_await be_first(inner + "/first");
  std::printf("left over: %s\n", status ? "yes" : "nothing");
  co_await empty_folder(inner);
}

// [resolve]
weir::task<> names() {
  const std::vector<weir::address> found = co_await weir::resolve("localhost", 80);
  std::printf("localhost: %s\n", found.empty() ? "nowhere" : "found");
  const auto nobody = co_await weir::as_result(weir::resolve("not a name", 80));
  std::printf("not a name: %s\n", std::string(name(nobody.error().code())).c_str());
}
// [/resolve]

// [rules]
weir::task<> keep_strangers_out() {
  const std::array<std::string, 2> denied{"private", "loopback"};
  const auto rules = weir::address_rules::parse(denied, {});
  const auto inside = co_await weir::as_result(weir::connect("127.0.0.1", 80, &*rules));
  std::printf("loopback: %s\n", std::string(name(inside.error().code())).c_str());
}
// [/rules]

// [embedded]
// An IPv6 address may only carry an IPv4 one, and leads where that does.
void look_through() {
  const auto at = [](const char* text) {
    return *weir::ip_number_of(weir::value_or_raise(weir::address::parse(text)));
  };
  const weir::ip_number inside = weir::embedded_ipv4(at("[64:ff9b::10.0.0.1]:80"));
  std::printf("embedded: %s\n", inside == at("10.0.0.1:80") ? "10.0.0.1" : "another");
}
// [/embedded]

// [lock]
// One process at a time owns the folder; one that was killed a moment ago may still seem to.
weir::task<> own(std::string folder) {
  weir::file mine = co_await weir::open_file(folder + "/lock", {.write = true, .create = true});
  weir::file other = co_await weir::open_file(folder + "/lock", {.write = true});
  const bool is_mine = co_await weir::lock_within(weir::lock_patience, mine);
  const bool is_others = co_await weir::lock_within(1_ms, other);
  std::printf("lock: %s\n", is_mine && !is_others ? "mine" : "not mine alone");
}
// [/lock]

// [ready]
// A descriptor of another library, which reads it by itself.
weir::task<> wait_for_others() {
  int ends[2];
  if (::pipe(ends) != 0) co_return;
  const int writable = co_await weir::wait_ready(ends[1], POLLOUT);
  std::printf("ready: %s\n", (writable & POLLOUT) != 0 ? "for writing" : "no");
  ::close(ends[0]);
  ::close(ends[1]);
}
// [/ready]

// [signal]
weir::task<> wait_for_a_signal() {
  co_await weir::with_scope([](weir::scope& s) -> weir::task<> {
    s.spawn([]() -> weir::task<> {
      co_await weir::wait_signal(SIGUSR1);
      std::printf("signal: reload\n");
    });
    co_await weir::yield();  // now it waits
    ::kill(::getpid(), SIGUSR1);
  });
}
// [/signal]

// [stop]
// What weir::run does with SIGTERM by itself, for a program that has other plans: one with
// stop_on_signals = false, or with a loop of its own as here.
weir::task<> wait_to_be_stopped() {
  const weir::second_signal_kills at_once;  // also while a task of the farewell holds the loop
  if (weir::is_signal_ignored(SIGTERM)) co_return;
  co_await weir::with_scope([](weir::scope& s) -> weir::task<> {
    s.spawn([]() -> weir::task<> {
      co_await weir::wait_signal(SIGTERM);
      std::printf("signal: the last guests are served\n");
    });
    co_await weir::yield();
    ::kill(::getpid(), SIGTERM);
  });
}
// [/stop]

weir::task<> tour(std::string folder) {
  co_await file_tour(folder);
  co_await names();
  co_await keep_strangers_out();
  co_await wait_for_a_signal();
  co_await wait_to_be_stopped();
  look_through();
  co_await own(std::move(folder));
  co_await wait_for_others();
}

}  // namespace

int main() {
  std::string folder = (std::filesystem::temp_directory_path() / "io-tour-XXXXXX").string();
  if (!::mkdtemp(folder.data())) return 1;
  // [driver]
  weir::raise_descriptor_limit();                                 // for servers: 1,024 are few
  const auto io = weir::make_driver({.receive_blocks_max = 64});  // where run()'s own won't do
  weir::run_on(*io, tour(folder));
  // [/driver]
  std::filesystem::remove_all(folder);
  return 0;
}
