// Child processes and pipes; docs/guide/processes.md shows them. It runs to its end by itself.
#include <weir/io/process.hpp>

#include <weir/io.hpp>
#include <weir/io/reader.hpp>

#include <cstdio>
#include <string>
#include <string_view>
#include <utility>

using namespace weir::literals;

namespace {

// [run]
weir::task<> run_to_the_end() {
  const auto [status, output, errors] =
      co_await weir::run_process(weir::command("sort", {"-r"}), {.input = "a\nc\nb\n"});
  std::printf("run: %s, %zu bytes\n%s", status.text().c_str(), output.size(), output.c_str());
}
// [/run]

// [talk]
weir::task<> talk() {
  const auto shell = weir::command("sh", {"-c", "while read line; do echo \"heard $line\"; done"})
                         .input(weir::child_stream::piped())
                         .output(weir::child_stream::piped());
  co_await weir::with_process(shell, [](weir::process& child) -> weir::task<> {
    for (const char* word : {"one\n", "two\n"}) {
      co_await child.input().send(word);
      const auto answer = co_await child.output().receive();
      std::printf("talk: %.*s", static_cast<int>(answer.size()), answer.data());
    }
  });  // still reading: it is told to end, and gone before this goes on
}
// [/talk]

// [deadline]
weir::task<> give_up() {
  const auto slow = weir::command("sleep", {"1000"}).grace(1_s);
  const auto outcome = co_await weir::as_result(weir::with_timeout(10_ms, weir::run_process(slow)));
  std::printf("deadline: %s\n", outcome ? "it ended" : "timed out, and ended with its time");
}
// [/deadline]

// [pipeline]
weir::task<> count_lines() {
  auto between = weir::make_pipe();
  const auto first =
      weir::command("printf", {"a\\nb\\n"}).output(weir::child_stream::of(between.writer));
  const auto second = weir::command("wc", {"-l"}).input(weir::child_stream::of(between.reader));
  co_await weir::with_process(first, [&](weir::process&) -> weir::task<> {
    between.writer.close();  // the child has it; the end of the stream is its end now
    const auto counted = co_await weir::run_process(second);
    std::printf("pipeline: %s", counted.output.c_str());
  });
}
// [/pipeline]

// [pipe]
weir::task<> shout(weir::pipe_writer to) {  // it goes at the end, and with it the stream
  for (const char* word : {"one ", "two "}) co_await to.send(word);
}
weir::task<> listen_to(weir::pipe_reader from) {
  while (const auto piece = co_await from.receive())
    std::printf("%.*s", static_cast<int>(piece.size()), piece.data());
  std::printf("end\n");
}
weir::task<> between_tasks() {
  auto [reader, writer] = weir::make_pipe();
  co_await weir::with_scope([&](weir::scope& s) -> weir::task<> {
    s.spawn(shout, std::move(writer));
    co_await listen_to(std::move(reader));
  });
}
// [/pipe]

// [filter]
/// A program that stands between two others: `printf 'a\nb\n' | process_tour filter | wc -l`.
weir::task<> filter() {
  auto input = weir::open_pipe_reader();   // what it reads from
  auto output = weir::open_pipe_writer();  // and what it writes to, without holding the loop
  weir::reader lines(input);
  while (auto line = co_await lines.read_line())
    co_await output.send("<" + std::string(line->text()) + ">\n");
}
// [/filter]
weir::task<> run_the_filter() {
  const auto done = co_await weir::run_process(weir::command("/proc/self/exe", {"filter"}),
                                               {.input = "one\ntwo\n"});
  std::printf("filter: %s, %s", done.status.text().c_str(), done.output.c_str());
}

// [missing]
weir::task<> start_nothing() {
  const auto outcome =
      co_await weir::as_result(weir::run_process(weir::command("no-such-program")));
  if (!outcome) std::printf("missing: %s\n", std::string(outcome.error().message()).c_str());
}
// [/missing]

weir::task<> tour() {
  co_await run_to_the_end();
  co_await talk();
  co_await give_up();
  co_await count_lines();
  co_await between_tasks();
  co_await run_the_filter();
  co_await start_nothing();
}

}  // namespace

int main(int count, char** words) {
  const bool filters = count > 1 && std::string_view(words[1]) == "filter";
  return weir::run(filters ? filter() : tour());
}
