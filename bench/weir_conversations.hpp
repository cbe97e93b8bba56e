// Conversations with `weir serve` over HTTP keep-alive, and the server itself: what the benchmarks
// of the whole service share.
#pragma once

#include "conversations.hpp"
#include "server_process.hpp"

#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bench::http {

struct http_answer {
  int status = 0;
  std::size_t size = 0;  // 0: not whole
  std::string_view body;
};

inline http_answer read_answer(std::string_view in) {
  const std::size_t end = in.find("\r\n\r\n");
  if (end == in.npos) return {};
  constexpr std::string_view length_name = "Content-Length: ";
  std::size_t length = 0;
  if (const auto at = in.substr(0, end + 2).find(length_name); at != in.npos) {
    const char* from = in.data() + at + length_name.size();
    std::from_chars(from, in.data() + end, length);
  }
  if (in.size() < end + 4 + length) return {};
  http_answer answer;
  std::from_chars(in.data() + 9, in.data() + 12, answer.status);
  answer.size = end + 4 + length;
  answer.body = in.substr(end + 4, length);
  return answer;
}

inline std::string request(const std::string& line, std::string_view body) {
  return line + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + std::string(body);
}

inline std::size_t expect(std::string_view in, int status, std::string_view* body = nullptr) {
  const http_answer answer = read_answer(in);
  if (answer.size != 0 && answer.status != status) die("weir: " + std::string(in));
  if (body) *body = answer.body;
  return answer.size;
}

/// Submits messages, to one queue after another.
class submitter final : public conversation {
 public:
  submitter(budget& of, const std::vector<std::string>& queues) : budget_(of), queues_(queues) {}
  bool ask(std::string& out) override {
    if (!budget_.take()) return false;
    out = submit_request(queues_[budget_.turn(queues_.size())]);
    return true;
  }
  std::size_t hear(std::string_view in) override { return expect(in, 202); }
  bool is_confirmation() const override { return true; }

  static std::string submit_request(const std::string& queue) {
    return request("POST /v1/queues/" + queue + "/messages", std::string(body_bytes, 'x'));
  }

 private:
  budget& budget_;
  const std::vector<std::string>& queues_;
};

/// Submits a message, takes one (its own or another's), acknowledges it.
class liver final : public conversation {
 public:
  liver(budget& of, const std::vector<std::string>& queues) : budget_(of), queues_(queues) {}
  bool ask(std::string& out) override {
    step_ = (step_ + 1) % 3;
    if (step_ == 0) {
      if (!budget_.take()) return false;
      queue_ = budget_.turn(queues_.size());
      out = submitter::submit_request(queues_[queue_]);
    } else if (step_ == 1) {
      out = request("POST /v1/queues/" + queues_[queue_] + "/leases?wait=30s", "");
    } else {
      out = request("POST /v1/leases/" + receipt_ + "/ack", "");
    }
    return true;
  }
  std::size_t hear(std::string_view in) override {
    if (step_ != 1) return expect(in, step_ == 0 ? 202 : 204);
    std::string_view body;
    const std::size_t size = expect(in, 200, &body);
    constexpr std::string_view name = "\"receipt\":\"";
    const auto at = body.find(name);
    if (size != 0 && at == body.npos) die("weir gave no message: " + std::string(in));
    if (size != 0) {
      const auto from = at + name.size();
      receipt_ = body.substr(from, body.find('"', from) - from);
    }
    return size;
  }
  bool is_confirmation() const override { return step_ == 0; }

 private:
  budget& budget_;
  const std::vector<std::string>& queues_;
  std::size_t queue_ = 0;
  std::string receipt_;
  int step_ = 2;
};

/// A worker: takes up to 16 messages, acknowledges them together, takes the next.
class worker final : public conversation {
 public:
  worker(budget& of, const std::vector<std::string>& queues)
      : budget_(of),
        lease_(request("POST /v1/queues/" + queues[0] + "/leases?max=16&wait=10s", "")) {}
  bool ask(std::string& out) override {
    if (receipts_ == 0) {
      out = lease_;
    } else {
      out = request("POST /v1/leases:ack", acks_ + "]}");
    }
    return true;
  }
  std::size_t hear(std::string_view in) override {
    std::string_view body;
    const std::size_t size = expect(in, 200, &body);
    if (size == 0) return 0;
    if (receipts_ != 0) {
      if (count_of(body, "\"status\":204") != receipts_) die("weir refused an ack");
      budget_.end(receipts_);
      receipts_ = 0;
      return size;
    }
    constexpr std::string_view name = "\"receipt\":\"";
    acks_ = "{\"acks\":[";
    for (auto at = body.find(name); at != body.npos; at = body.find(name, at)) {
      at += name.size();
      acks_ += receipts_++ == 0 ? "{\"receipt\":\"" : ",{\"receipt\":\"";
      acks_.append(body.substr(at, body.find('"', at) - at)).append("\"}");
    }
    return size;
  }
  bool is_confirmation() const override { return false; }

 private:
  static std::int64_t count_of(std::string_view text, std::string_view what) {
    std::int64_t count = 0;
    for (auto at = text.find(what); at != text.npos; at = text.find(what, at + 1)) ++count;
    return count;
  }

  budget& budget_;
  std::string lease_;
  std::string acks_;
  std::int64_t receipts_ = 0;
};

/// Makes queues with room for everything, one after another.
class maker final : public conversation {
 public:
  maker(budget& of, const std::vector<std::string>& queues) : budget_(of), queues_(queues) {}
  static std::string put_request(const std::string& queue) {
    return request("PUT /v1/queues/" + queue,
                   R"({"capacity":{"messages":1000000000,"bytes":1000000000000}})");
  }
  bool ask(std::string& out) override {
    if (!budget_.take()) return false;
    out = put_request(queues_[budget_.turn(queues_.size())]);
    return true;
  }
  std::size_t hear(std::string_view in) override { return expect(in, 201); }
  bool is_confirmation() const override { return false; }

 private:
  budget& budget_;
  const std::vector<std::string>& queues_;
};

/// One request and its answer's body.
class single final : public conversation {
 public:
  single(std::string text, int status, std::string& body)
      : text_(std::move(text)), status_(status), body_(body) {}
  bool ask(std::string& out) override {
    out = std::exchange(text_, {});
    return !out.empty();
  }
  std::size_t hear(std::string_view in) override {
    std::string_view body;
    const std::size_t size = expect(in, status_, &body);
    body_ = body;
    return size;
  }
  bool is_confirmation() const override { return false; }

 private:
  std::string text_;
  int status_;
  std::string& body_;
};

inline std::string call(int port, std::string text, int status) {
  std::string body;
  std::vector<std::unique_ptr<conversation>> one;
  one.push_back(std::make_unique<single>(std::move(text), status, body));
  converse(port, std::move(one));
  return body;
}

inline std::uint64_t count_in(const std::string& json, const std::string& name) {
  const auto at = json.find("\"" + name + "\":");
  if (at == json.npos) die("no count '" + name + "' in " + json);
  return std::strtoull(json.c_str() + at + name.size() + 3, nullptr, 10);
}

/// A running `weir serve` with a queue or more.
struct weir_server {
  /// `data`: the data folder; `more`: other arguments.
  weir_server(const std::string& data, const std::string& log,
              const std::vector<std::string>& more = {})
      : begun_ns(wall_ns()),
        process(command(data, more), {}, log),
        port(std::atoi(process.wait_for("listening on http://127.0.0.1:").c_str())),
        ready_ns(wall_ns()),
        start_cpu_us(process.cpu_us()) {}

  /// A load of `count` messages over so many connections; with `workers`, until these have
  /// acknowledged all.
  template <class Talk>
  load_outcome load(int connections, std::int64_t count, const std::vector<std::string>& queues,
                    int workers = 0) const {
    budget left{.left = count};
    std::vector<std::unique_ptr<conversation>> all;
    for (int i = 0; i < connections; ++i) all.push_back(std::make_unique<Talk>(left, queues));
    for (int i = 0; i < workers; ++i) all.push_back(std::make_unique<worker>(left, queues));
    const double cpu_before = process.cpu_us();
    load_outcome outcome = converse(port, std::move(all), &left.is_over);
    outcome.server_us = process.cpu_us() - cpu_before;
    return outcome;
  }
  void put_queues(const std::vector<std::string>& queues) const {
    load<maker>(64, static_cast<std::int64_t>(queues.size()), queues);
  }
  std::uint64_t count_of(const std::string& queue, const std::string& what) const {
    return count_in(call(port, request("GET /v1/queues/" + queue, ""), 200), what);
  }

  std::int64_t begun_ns;
  server_process process;
  int port;
  std::int64_t ready_ns;  // it listens
  double start_cpu_us;

 private:
  static std::vector<std::string> command(const std::string& data,
                                          const std::vector<std::string>& more) {
    const auto here = std::filesystem::canonical("/proc/self/exe").parent_path();
    std::vector<std::string> words{
        (here.parent_path() / "weir").string(), "serve", "--listen", "127.0.0.1:0", "--data", data};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
};

}  // namespace bench::http
