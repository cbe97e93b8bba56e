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

weir::task<> tour() {
  std::string folder = std::string(std::getenv("TMPDIR") ? std::getenv("TMPDIR") : "/tmp");
  folder += "/weir-watch-XXXXXX";
  if (!::mkdtemp(folder.data())) weir::raise(weir::error(weir::errc::io, "no folder to watch"));
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
