// The standard streams of a machine's first program, which its children inherit.
#include <weir/core.hpp>
#include <weir/io/file.hpp>
#include <weir/io/pipe_ends.hpp>
#include <weir/io/process.hpp>
#include <weir/sim/virtual_processes.hpp>
#include <weir/testing/test.hpp>

#include <string>

namespace weir::first_streams_test {
namespace {

// "cat" copies its input, and says in its errors that it has.
void install_cat() {
  testing::world().processes().install("/bin/cat", [](virtual_process& self) -> task<int> {
    while (const bytes piece = co_await self.input().receive()) {
      const std::string text(piece.text());
      co_await self.output().send(text);
    }
    co_await self.errors().send("done\n");
    co_return 0;
  });
}

task<exit_status> run_cat() {
  co_return (co_await run_process(command("cat")
                                      .input(child_stream::inherited())
                                      .output(child_stream::inherited())
                                      .errors(child_stream::inherited())))
      .status;
}

task<std::string> all_of(pipe_reader* from) {
  std::string all;
  while (const bytes piece = co_await from->receive()) all += piece.text();
  co_return all;
}

WEIR_TEST("a child inherits what the first program's standard streams were made") {
  install_cat();
  auto [questions, ask] = make_pipe();
  auto [answers, out] = make_pipe();
  file log = co_await open_file("/log", {.write = true, .create = true});
  testing::world().processes().set_stream(0, questions.handle());
  testing::world().processes().set_stream(1, out.handle());
  testing::world().processes().set_stream(2, log.handle());
  const auto say = [&]() -> task<> {
    co_await ask.send("one\ntwo\n");
    ask.close();
  };
  const auto run = [&]() -> task<> {
    EXPECT_TRUE((co_await run_cat()).is_success());
    out.close();
  };
  std::string heard;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(say);
    s.spawn(run);
    heard = co_await all_of(&answers);
    co_await s.join();
  });
  EXPECT_EQ(heard, "one\ntwo\n");
  EXPECT_EQ(*testing::world().disk().content_of("/log"), "done\n");
}

WEIR_TEST("standard streams that nobody has made, or that are closed, are null") {
  install_cat();
  EXPECT_TRUE((co_await run_cat()).is_success());
  auto [in, out] = make_pipe();
  testing::world().processes().set_stream(0, in.handle());
  testing::world().processes().set_stream(1, out.handle());
  in.close();
  out.close();
  EXPECT_TRUE((co_await run_cat()).is_success());
}

}  // namespace
}  // namespace weir::first_streams_test
