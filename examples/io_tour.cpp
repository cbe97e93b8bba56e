// Files, folders, names, rules for addresses and signals, one function for each. It runs to its end
// by itself.
#include <weir/io.hpp>

#include <weir/io/address_rules.hpp>

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
  const std::string path = folder + "/settings";
  weir::file next = co_await weir::open_file(path + ".new", {.write = true, .create = true});
  co_await next.write_at(0, text);
  co_await next.sync();                             // the bytes are on the disk ...
  co_await weir::rename_path(path + ".new", path);  // ... before the name says so
  co_await weir::sync_dir(folder);                  // and now the name is, too
}
// [/replace]

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

weir::task<> tour(std::string folder) {
  co_await file_tour(std::move(folder));
  co_await names();
  co_await keep_strangers_out();
  co_await wait_for_a_signal();
}

}  // namespace

int main() {
  std::string folder = (std::filesystem::temp_directory_path() / "io-tour-XXXXXX").string();
  if (!::mkdtemp(folder.data())) return 1;
  const int outcome = weir::run(tour(folder));
  std::filesystem::remove_all(folder);
  return outcome;
}
