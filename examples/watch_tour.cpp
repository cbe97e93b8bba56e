// Watching a folder; docs/guide/watching.md shows it. It runs to its end by itself.
#include <weir/io.hpp>
#include <weir/io/dir_watch.hpp>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace {

// [watch]
weir::task<> tell_changes(weir::dir_watch& watch) {
  for (;;) {
    const weir::dir_event one = co_await watch.next();
    switch (one.what) {
      case weir::dir_change::renamed:
        std::printf("%s is %s now\n", one.old_name.c_str(), one.name.c_str());
        break;
      case weir::dir_change::lost:  // nobody knows what: look at all of it again
      case weir::dir_change::gone:
        std::printf("the folder: %s\n", weir::name(one.what));
        if (one.what == weir::dir_change::gone) co_return;
        break;
      default:
        std::printf("%s: %s\n", one.name.c_str(), weir::name(one.what));
    }
  }
}
// [/watch]

// [tree]
weir::task<> tell_tree(const std::string& folder) {
  auto watch = co_await weir::watch_tree(folder);
  co_await weir::make_dir(folder + "/sub");
  {
    auto note = co_await weir::open_file(folder + "/sub/note", {.write = true, .create = true});
  }
  for (int i = 0; i < 2; ++i) {
    const weir::dir_event one = co_await watch.next();
    std::printf("%s: %s%s\n", one.name.c_str(), weir::name(one.what),
                one.is_found ? ", was there already" : "");
  }
}
// [/tree]

weir::task<> tour() {
  std::string folder = std::string(std::getenv("TMPDIR") ? std::getenv("TMPDIR") : "/tmp");
  folder += "/weir-watch-XXXXXX";
  if (!::mkdtemp(folder.data())) weir::raise(weir::error(weir::errc::io, "no folder to watch"));
  co_await tell_tree(folder);
  co_await weir::remove_path(folder + "/sub/note");
  co_await weir::remove_dir(folder + "/sub");
  auto watch = weir::watch_dir(folder);
  {
    auto letter = co_await weir::open_file(folder + "/draft", {.write = true, .create = true});
    co_await letter.write_at(0, "Dear Ada");
  }
  co_await weir::rename_path(folder + "/draft", folder + "/letter");
  co_await weir::remove_path(folder + "/letter");
  co_await weir::remove_dir(folder);
  co_await tell_changes(watch);
}

}  // namespace

int main() { return weir::run(tour()); }
