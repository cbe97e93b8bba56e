// Bytes in and out: lines, frames, buffers, copies and pipes over sockets and files, one function
// for each; docs/guide/bytes.md shows them. It runs to its end by itself.
#include <weir/flow/event.hpp>
#include <weir/io.hpp>
#include <weir/io/copy.hpp>
#include <weir/io/file_copy.hpp>
#include <weir/io/file_stream.hpp>
#include <weir/io/pipe.hpp>
#include <weir/io/reader.hpp>
#include <weir/io/shared_send.hpp>
#include <weir/io/writer.hpp>
#include <weir/wire/length_prefix.hpp>
#include <weir/wire/line_frames.hpp>

#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace weir::literals;

namespace {

struct connection {
  weir::socket client;
  weir::socket server;
};
weir::task<connection> connect_pair() {
  weir::listener door = co_await weir::listen({});
  weir::socket client = co_await weir::connect(door.local());
  co_return connection{std::move(client), co_await door.accept()};
}

// [lines]
weir::task<> answer_lines(weir::socket peer) {
  weir::reader in(peer, {.item_bytes_max = 1000});  // a longer line raises `too_large`
  weir::writer out(peer);
  while (auto line = co_await in.read_line()) {  // nothing at the end of the stream
    co_await out.write("you said: ");
    co_await out.write(*line);
    co_await out.write("\n");
    co_await out.flush();
  }
}
// [/lines]

weir::task<> lines_tour() {
  connection pair = co_await connect_pair();
  co_await weir::with_scope([&](weir::scope& s) -> weir::task<> {
    s.spawn(answer_lines, std::move(pair.server));
    co_await pair.client.send("hello\r\nworld");
    co_await pair.client.shutdown_send();
    weir::reader answers(pair.client);
    while (auto line = co_await answers.read_line())
      std::printf("%s\n", std::string(line->text()).c_str());
  });
}

// [exact]
weir::task<std::string> read_record(weir::reader& in) {
  const weir::bytes head = co_await in.read_until("\r\n\r\n");
  const weir::bytes kind = co_await in.read_exactly(4);
  co_return std::string(kind.text()) + " after " + std::string(head.text());
}
// [/exact]

// [timeout]
weir::task<> two_tries(weir::reader& in, weir::event& hurry) {
  auto line = co_await weir::as_result(weir::with_timeout(10_ms, in.read_line()));
  if (!line && line.error() == weir::errc::timed_out) {
    std::printf("no line yet, %d bytes stay\n", static_cast<int>(in.buffered().size()));
    hurry.set();
    line = co_await in.read_line();  // begins with the bytes that had come
  }
  std::printf("%s\n", std::string((*line)->text()).c_str());
}
// [/timeout]

weir::task<> reader_tour() {
  connection pair = co_await connect_pair();
  co_await weir::with_scope([&](weir::scope& s) -> weir::task<> {
    weir::event hurry;
    auto sender = s.spawn([&]() -> weir::task<> {
      co_await pair.client.send("the head\r\n\r\nBODYhalf a ");
      co_await hurry.wait();
      co_await pair.client.send("line\n");
    });
    weir::reader in(pair.server);
    std::printf("%s\n", (co_await read_record(in)).c_str());
    co_await two_tries(in, hurry);
    co_await sender;
  });
}

// [frames]
weir::task<> send_frames(weir::socket to) {
  const weir::length_prefix codec(weir::length_format::varint, 1'000'000);
  weir::writer out(to);
  for (const std::string_view frame : {"one", "", "three\nlines\n"})
    co_await out.write_frame(codec, frame);  // all of it or nothing, also when cancelled
  co_await out.end();
}
weir::task<> print_frames(weir::socket from) {
  const weir::length_prefix codec(weir::length_format::varint, 1'000'000);
  weir::reader in(from);
  while (auto frame = co_await in.read_frame(codec))
    std::printf("a frame of %d bytes\n", static_cast<int>(frame->size()));
}
// [/frames]

// [line_frames]
weir::task<> send_notes(weir::socket to) {
  const weir::line_frames codec(1000, weir::line_end::crlf);
  weir::writer out(to);
  for (const std::string_view note : {"milk", "bread"}) co_await out.write_frame(codec, note);
  co_await out.end();
}
weir::task<> print_notes(weir::socket from) {
  const weir::line_frames codec(1000);  // it reads both ends of lines
  weir::reader in(from);
  while (auto note = co_await in.read_frame(codec))
    std::printf("note: %s\n", std::string(note->text()).c_str());
}
// [/line_frames]

weir::task<> frames_tour() {
  connection pair = co_await connect_pair();
  connection other = co_await connect_pair();
  co_await weir::with_scope([&](weir::scope& s) -> weir::task<> {
    s.spawn(send_frames, std::move(pair.client));
    co_await print_frames(std::move(pair.server));
    s.spawn(send_notes, std::move(other.client));
    co_await print_notes(std::move(other.server));
  });
}

// [copy]
weir::task<> copy_file(std::string from, std::string to) {
  weir::file source = co_await weir::open_file(std::move(from));
  weir::file target = co_await weir::open_file(std::move(to), {.write = true, .create = true});
  weir::copy_progress progress;  // right also when the copy fails or is cancelled
  co_await weir::copy_file(source, target, {.progress = &progress});
  co_await target.sync();
  std::printf("copied %d bytes\n", static_cast<int>(progress.sent));
}
// [/copy]

// [part]
// The head says how long the body is; what comes after it is left for the next one.
weir::task<> keep_body(weir::reader& in, weir::file_sink& target) {
  const auto head = co_await in.read_line();
  if (!head) co_return;
  const std::uint64_t size = std::stoull(std::string(head->text()));
  co_await weir::copy_exactly(in, target, size);
  const auto next = co_await in.read_line();
  std::printf("kept %d bytes, then: %s\n", static_cast<int>(size),
              std::string(next->text()).c_str());
  const std::uint64_t rest = co_await weir::copy(in, target);  // to the end of the stream
  std::printf("and %d more\n", static_cast<int>(rest));
}
// [/part]

weir::task<> part_tour(std::string path) {
  connection pair = co_await connect_pair();
  co_await pair.client.send("5\nbody!next\nthe rest");
  co_await pair.client.shutdown_send();
  weir::file kept = co_await weir::open_file(std::move(path), {.write = true, .create = true});
  weir::file_sink target(kept);
  weir::reader in(pair.server);
  co_await keep_body(in, target);
}

// [send]
weir::task<> answer_with_file(weir::socket peer, std::string path) {
  weir::file page = co_await weir::open_file(std::move(path));
  co_await peer.send("the first 19 bytes: ");
  co_await weir::send_file(page, peer, {.count = 19});
  co_await peer.shutdown_send();
}
// [/send]

weir::task<> send_tour(std::string path) {
  connection pair = co_await connect_pair();
  co_await weir::with_scope([&](weir::scope& s) -> weir::task<> {
    s.spawn(answer_with_file, std::move(pair.server), std::move(path));
    weir::reader in(pair.client);
    std::printf("%s", (co_await in.read_all(1000)).c_str());
  });
}

// [shared]
weir::task<> answer_with_picture(weir::socket peer, weir::bytes picture) {
  co_await weir::send_shared(peer, std::move(picture));  // in memory once, for all who ask
  co_await peer.shutdown_send();
}
// [/shared]

weir::task<> shared_tour() {
  const weir::bytes picture = weir::bytes::copy_of(std::string(100'000, 'p'));
  for (int i = 0; i < 2; ++i) {
    connection pair = co_await connect_pair();
    co_await weir::with_scope([&](weir::scope& s) -> weir::task<> {
      s.spawn(answer_with_picture, std::move(pair.server), picture);
      weir::reader in(pair.client);
      std::printf("a picture of %zu bytes\n", (co_await in.read_all(1'000'000)).size());
    });
  }
}

// [proxy]
weir::task<> proxy(weir::socket client, std::uint16_t port) {
  weir::socket server = co_await weir::connect("localhost", port);
  co_await weir::with_scope([&](weir::scope& s) -> weir::task<> {
    s.spawn([&]() -> weir::task<> { co_await weir::pipe_to(client, server); });
    co_await weir::pipe_to(server, client);  // each end that comes is passed on
  });
}
// [/proxy]

weir::task<> proxy_tour() {
  weir::listener inner = co_await weir::listen({});
  weir::listener outer = co_await weir::listen({});
  co_await weir::with_scope([&](weir::scope& s) -> weir::task<> {
    s.spawn([&]() -> weir::task<> { co_await answer_lines(co_await inner.accept()); });
    s.spawn(
        [&]() -> weir::task<> { co_await proxy(co_await outer.accept(), inner.local().port()); });
    weir::socket client = co_await weir::connect(outer.local());
    co_await client.send("through a proxy\n");
    co_await client.shutdown_send();
    weir::reader in(client);
    std::printf("%s", (co_await in.read_all(1000)).c_str());
  });
}

// [file]
weir::task<int> count_errors(std::string path) {
  weir::file log = co_await weir::open_file(std::move(path));
  weir::file_source bytes(log);
  weir::reader lines(bytes);
  int errors = 0;
  while (auto line = co_await lines.read_line()) {
    if (line->text().starts_with("error")) ++errors;
  }
  co_return errors;
}
// [/file]

// [append]
weir::task<> note_down(std::string path, std::vector<std::string> lines) {
  weir::file log =
      co_await weir::open_file(std::move(path), {.write = true, .create = true, .append = true});
  for (const std::string& line : lines) co_await log.append(line);  // whoever else appends to it
}
// [/append]

weir::task<> file_tour(std::string folder) {
  const std::string path = folder + "/app.log";
  {
    weir::file log = co_await weir::open_file(path, {.write = true, .create = true});
    weir::file_sink sink(log);
    weir::writer out(sink);
    for (int i = 0; i < 1000; ++i) co_await out.write(i % 100 == 0 ? "error: x\n" : "fine\n");
    co_await out.flush();
  }
  std::printf("errors: %d\n", co_await count_errors(path));
  co_await weir::when_all(note_down(path, {"error: y\n", "fine\n"}),
                          note_down(path, {"error: z\n"}));
  std::printf("and then: %d\n", co_await count_errors(path));
  co_await copy_file(path, folder + "/copy.log");
  co_await part_tour(folder + "/body");
  co_await send_tour(folder + "/copy.log");
}

weir::task<> tour(std::string folder) {
  co_await lines_tour();
  co_await reader_tour();
  co_await frames_tour();
  co_await file_tour(std::move(folder));
  co_await shared_tour();
  co_await proxy_tour();
}

}  // namespace

int main() {
  std::string folder = (std::filesystem::temp_directory_path() / "bytes-tour-XXXXXX").string();
  if (!::mkdtemp(folder.data())) return 1;
  const int outcome = weir::run(tour(folder));
  std::filesystem::remove_all(folder);
  return outcome;
}
