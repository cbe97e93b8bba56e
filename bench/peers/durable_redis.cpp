// Redis' side of durable_bench: a stream with appendfsync always, 64 connections that add one entry
// each at a time; then add, take (a consumer group) and acknowledge. The server starts here, on
// loopback and in a folder of its own.
#include "../conversations.hpp"
#include "../server_process.hpp"

#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

std::string command(std::initializer_list<std::string_view> words) {
  std::string text = "*" + std::to_string(words.size()) + "\r\n";
  for (const std::string_view word : words) {
    text += "$" + std::to_string(word.size()) + "\r\n";
    text.append(word).append("\r\n");
  }
  return text;
}

/// The size of the reply at the front, 0 when it is not whole.
std::size_t reply_size(std::string_view in) {
  const std::size_t end = in.find("\r\n");
  if (end == in.npos) return 0;
  if (in[0] == '-') bench::die("redis: " + std::string(in));
  const long number = std::atol(in.data() + 1);
  std::size_t size = end + 2;
  if (in[0] == '$' && number >= 0) {
    size += static_cast<std::size_t>(number) + 2;
    return size <= in.size() ? size : 0;
  }
  for (long i = 0; in[0] == '*' && i < number; ++i) {
    const std::size_t part = reply_size(in.substr(size));
    if (part == 0) return 0;
    size += part;
  }
  return size;
}

class adder final : public bench::conversation {
 public:
  adder(bench::budget& of, const std::string& stream, bool lives)
      : budget_(of),
        stream_(stream),
        lives_(lives),
        add_(command({"XADD", stream, "*", "b", std::string(bench::body_bytes, 'x')})),
        take_(command({"XREADGROUP", "GROUP", "g", "c", "COUNT", "1", "STREAMS", stream, ">"})) {}
  bool ask(std::string& out) override {
    step_ = lives_ ? (step_ + 1) % 3 : 0;
    if (step_ == 0 && !budget_.take()) return false;
    out = step_ == 0 ? add_ : step_ == 1 ? take_ : command({"XACK", stream_, "g", id_});
    return true;
  }
  std::size_t hear(std::string_view in) override {
    const std::size_t size = reply_size(in);
    if (size == 0 || step_ != 1) return size;
    // *1 *2 $stream *1 *2 $id *2 ...: the id is the second text.
    std::size_t at = in.find('$', in.find(stream_));
    at = in.find("\r\n", at) + 2;
    id_ = in.substr(at, in.find("\r\n", at) - at);
    return size;
  }
  bool is_confirmation() const override { return step_ == 0; }

 private:
  bench::budget& budget_;
  std::string stream_;
  bool lives_;
  std::string add_;
  std::string take_;
  std::string id_;
  int step_ = 2;
};

/// One command and the number that it answers.
class question final : public bench::conversation {
 public:
  question(std::string text, std::string& answer) : text_(std::move(text)), answer_(answer) {}
  bool ask(std::string& out) override {
    out = std::exchange(text_, {});
    return !out.empty();
  }
  std::size_t hear(std::string_view in) override {
    const std::size_t size = reply_size(in);
    answer_ = in.substr(1, size);
    return size;
  }
  bool is_confirmation() const override { return false; }

 private:
  std::string text_;
  std::string& answer_;
};

struct server {
  server()
      : folder("durable-redis"),
        port(bench::free_port()),
        process({"redis-server", "--port", std::to_string(port), "--bind", "127.0.0.1", "--dir",
                 folder.path(), "--appendonly", "yes", "--appendfsync", "always", "--save", "",
                 "--auto-aof-rewrite-percentage", "0", "--daemonize", "no"},
                {}, folder.path() + "/log") {
    process.wait_for("Ready to accept connections");
  }
  std::string call(std::string text) const {
    std::string answer;
    std::vector<std::unique_ptr<bench::conversation>> one;
    one.push_back(std::make_unique<question>(std::move(text), answer));
    bench::converse(port, std::move(one));
    return answer;
  }
  void load(const std::string& name, bool lives, int connections, std::int64_t count) const {
    const std::string stream = name + std::to_string(connections);
    call(command({"XGROUP", "CREATE", stream, "g", "0", "MKSTREAM"}));
    bench::budget budget{count};
    std::vector<std::unique_ptr<bench::conversation>> all;
    for (int i = 0; i < connections; ++i) {
      all.push_back(std::make_unique<adder>(budget, stream, lives));
    }
    const double cpu_before = process.cpu_us();
    bench::load_outcome outcome = bench::converse(port, std::move(all));
    outcome.server_us = process.cpu_us() - cpu_before;
    // What was acknowledged stays in a stream; that nothing is pending shows in the group.
    const auto added = std::strtoull(call(command({"XLEN", stream})).c_str(), nullptr, 10);
    const std::string pending = call(command({"XPENDING", stream, "g"}));
    if (lives && !pending.starts_with("4\r\n:0\r\n")) bench::die("redis has pending entries");
    print_load(name, "in_flight=" + std::to_string(connections), count, outcome, added);
  }

  bench::temp_folder folder;
  int port;
  bench::server_process process;
};

}  // namespace

int main(int argc, char** argv) {
  const bool small = bench::is_small(argc, argv);
  return bench::run([small] {
    bench::pin_to(bench::client_core);
    const server redis;
    redis.load("submit", false, 64, small ? 128 : 60'000);
    redis.load("life", true, 64, small ? 128 : 60'000);
    redis.load("submit", false, 1, small ? 10 : 2'000);
  });
}
