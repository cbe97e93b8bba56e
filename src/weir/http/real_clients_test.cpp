// Over the kernel's sockets, on each driver: other people's clients against our server, and our
// client against another server.
// Needs the kernel: other people's programs have no virtual sockets.
#include <weir/core.hpp>
#include <weir/http.hpp>
#include <weir/io/blocking.hpp>
#include <weir/io/make_driver.hpp>
#include <weir/io/socket.hpp>

#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

namespace weir::http::real_clients_test {
namespace {

using namespace weir::literals;

std::unique_ptr<driver> try_driver(const char* name) {
  try {
    return make_driver({.name = name});
  } catch (const exception&) {
    return nullptr;  // the kernel refuses io_uring
  }
}

// What a command prints.
task<std::string> output_of(std::string command) {
  co_return co_await blocking([&] {
    std::string text;
    std::FILE* from = ::popen(command.c_str(), "r");
    std::array<char, 4096> piece;
    while (const std::size_t size = std::fread(piece.data(), 1, piece.size(), from)) {
      text.append(piece.data(), size);
    }
    const int code = ::pclose(from);
    if (code != 0) text += "\nexit code " + std::to_string(code);
    return text;
  });
}

bool has_command(const char* name) {
  return std::system((std::string("command -v ") + name + " >/dev/null 2>&1").c_str()) == 0;
}

task<> echo(request& asked, response& answered) {
  if (asked.path() == "/stream") {
    body_writer body = co_await answered.begin(200, "text/plain");
    for (int i = 0; i < 3; ++i) {
      co_await body.write("piece ");
      co_await sleep(1_ms);
    }
    co_return;
  }
  const std::string body = co_await asked.read_all(1 << 24);
  answered.header("X-Seen", asked.target());
  co_await answered.send(200, "text/plain", body.empty() ? "nothing" : body);
}

struct own_folder {
  std::string path = ::testing::TempDir() + "weir-http-XXXXXX";
  own_folder() { EXPECT_NE(::mkdtemp(path.data()), nullptr); }
  ~own_folder() { std::filesystem::remove_all(path); }
  own_folder(const own_folder&) = delete;
  own_folder& operator=(const own_folder&) = delete;
};

class real_sockets : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    io_ = try_driver(GetParam());
    if (!io_) GTEST_SKIP() << "the kernel does not offer " << GetParam();
  }
  // Runs body(address) beside a server.
  template <class Body>
  void with_server(Body body) {
    run_on(*io_, [](Body inner) -> task<> {
      server one(echo);
      listener door = co_await listen({});
      const address at = door.local();
      co_await with_scope([&](scope& s) -> task<> {
        s.spawn([&]() -> task<> { co_await one.run(std::move(door)); });
        co_await inner(at);
        one.drain();
      });
      EXPECT_EQ(one.stats().handler_failures, 0u);
      EXPECT_EQ(one.stats().faults, 0u);
    }(body));
  }
  std::unique_ptr<driver> io_;
};
INSTANTIATE_TEST_SUITE_P(drivers, real_sockets, ::testing::Values("epoll", "io_uring"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(real_sockets, serve_curl) {
  if (!has_command("curl")) GTEST_SKIP() << "curl is not installed";
  with_server([](address at) -> task<> {
    const std::string curl = "curl -sS --max-time 20 ";
    const std::string url = " http://" + at.text();
    EXPECT_EQ(co_await output_of(curl + "-d hello" + url + "/a?b"), "hello");
    EXPECT_EQ(co_await output_of(curl + url + "/stream"), "piece piece piece ");
    EXPECT_EQ(co_await output_of(curl + "--http1.0" + url + "/stream"), "piece piece piece ");
    const std::string head = co_await output_of(curl + "-I" + url + "/x%20y");
    EXPECT_NE(head.find("X-Seen: /x%20y\r\n"), std::string::npos) << head;
    // curl asks with Expect: 100-continue for a body of this size.
    const std::string large = co_await output_of("head -c 3000000 /dev/zero | tr '\\0' x | " +
                                                 curl + "-T -" + url + "/ | wc -c | tr -d ' \\n'");
    EXPECT_EQ(large, "3000000");
    EXPECT_EQ(co_await output_of(curl + url + "/1" + url + "/2"), "nothingnothing");
  });
}

TEST_P(real_sockets, serve_the_client_of_python) {
  if (!has_command("python3")) GTEST_SKIP() << "python3 is not installed";
  with_server([](address at) -> task<> {
    const std::string script =
        "import http.client\n"
        "c = http.client.HTTPConnection(\"127.0.0.1\", " +
        std::to_string(at.port()) +
        ", timeout=20)\n"
        "for i in range(50):\n"
        "    c.request(\"POST\", \"/\" + str(i), body=b\"x\" * i * 1000)\n"
        "    r = c.getresponse()\n"
        "    assert r.status == 200 and r.getheader(\"X-Seen\") == \"/\" + str(i), r.status\n"
        "    assert len(r.read()) == (i * 1000 or 7)\n"
        "c.request(\"PUT\", \"/\", body=iter([b\"a\" * 10, b\"b\" * 20]), encode_chunked=True)\n"
        "assert c.getresponse().read() == b\"a\" * 10 + b\"b\" * 20\n"
        "c.request(\"GET\", \"/stream\")\n"
        "assert c.getresponse().read() == b\"piece \" * 3\n"
        "print(\"fine\", end=\"\")\n";
    EXPECT_EQ(co_await output_of("python3 -c '" + script + "' 2>&1"), "fine");
  });
}

TEST_P(real_sockets, ask_the_server_of_python) {
  if (!has_command("python3")) GTEST_SKIP() << "python3 is not installed";
  // It serves a folder, in HTTP/1.0 without keep-alive, and ends when its input does.
  const own_folder own;
  const std::string& folder = own.path;
  ASSERT_EQ(std::system(("printf hello > " + folder + "/a.txt").c_str()), 0);
  const std::string command =
      "cd " + folder +
      " && exec python3 -c 'import http.server,threading,sys\n"
      "class h(http.server.SimpleHTTPRequestHandler):\n"
      "    protocol_version = \"HTTP/1.1\" if sys.argv[1] == \"1.1\" else \"HTTP/1.0\"\n"
      "    def log_message(self, *a): pass\n"
      "s = http.server.ThreadingHTTPServer((\"127.0.0.1\", 0), h)\n"
      "print(s.server_port, file=open(\"port.\" + sys.argv[1], \"w\"), flush=True)\n"
      "threading.Thread(target=s.serve_forever, daemon=True).start()\n"
      "sys.stdin.read()' ";
  for (const char* version : {"1.0", "1.1"}) {
    const std::string port_file = folder + "/port." + version;
    ASSERT_EQ(std::system(("mkfifo " + port_file).c_str()), 0);  // reading it waits for the port
    std::FILE* other = ::popen((command + version).c_str(), "w");
    std::FILE* said = std::fopen(port_file.c_str(), "r");
    int port = 0;
    ASSERT_EQ(std::fscanf(said, "%d", &port), 1);
    std::fclose(said);
    run_on(*io_, [](int at) -> task<> {
      client asks;
      const std::string url = "http://127.0.0.1:" + std::to_string(at);
      for (int i = 0; i < 20; ++i) {
        const client_response got = co_await asks.get(url + "/a.txt");
        EXPECT_EQ(got.status(), 200);
        EXPECT_EQ(got.body, "hello");
      }
      EXPECT_EQ((co_await asks.get(url + "/none")).status(), 404);
      const client_response head = co_await asks.send({.method = "HEAD", .url = url + "/a.txt"});
      EXPECT_EQ(head.head.field("Content-Length"), "5");
      const client_response refused =
          co_await asks.send({.method = "POST", .url = url + "/a.txt", .body = "x"});
      EXPECT_EQ(refused.status(), 501);
    }(port));
    ::pclose(other);
  }
}

// The time-outs cancel requests of the kernel: what virtual time can't show.
TEST_P(real_sockets, are_given_up_when_their_client_is_too_slow) {
  run_on(*io_, []() -> task<> {
    const auto large = [](request&, response& answered) -> task<> {
      std::string text;
      text.resize(64'000'000, 'x');
      co_await answered.send(200, {}, text);
    };
    server one(large, {.header_timeout = 30_ms, .write_timeout = 30_ms, .linger_timeout = 10_ms});
    listener door = co_await listen({});
    const address at = door.local();
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> { co_await one.run(std::move(door)); });
      socket slow = co_await connect(at);
      co_await slow.send("GET / HT");
      EXPECT_TRUE((co_await slow.receive()).text().starts_with("HTTP/1.1 408 "));
      socket stuck = co_await connect(at);
      co_await stuck.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
      while (one.stats().connections_live != 0 || one.stats().requests == 0) co_await sleep(1_ms);
      EXPECT_EQ(one.stats().timeouts, 2u);
      EXPECT_EQ(one.stats().handler_failures, 0u);
      one.drain();
    });
  }());
}

TEST_P(real_sockets, carry_many_clients_of_our_own) {
  with_server([](address at) -> task<> {
    client asks({.connections_per_host_max = 50});
    int right = 0;
    co_await with_scope([&](scope& s) -> task<> {
      for (int i = 0; i < 500; ++i) {
        s.spawn_at(
            std::source_location::current(),
            [](client* with, address to, int number, int* good) -> task<> {
              const std::string body(static_cast<std::size_t>(number) * 100, 'x');
              const std::string url = "http://" + to.text() + "/" + std::to_string(number);
              const client_response got =
                  co_await with->send({.method = "PUT", .url = url, .body = body});
              if (got.body.size() == (number == 0 ? 7 : body.size())) ++*good;
            },
            &asks, at, i, &right);
      }
      co_await s.join();
    });
    EXPECT_EQ(right, 500);
    EXPECT_LE(asks.stats().connects, 50u);
  });
}

}  // namespace
}  // namespace weir::http::real_clients_test
