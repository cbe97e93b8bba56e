// Bodies that run in the virtual world and on the kernel.
// Needs the kernel: it is one of the two arms.
#include <weir/testing/two_arms.hpp>

#include <weir/core.hpp>
#include <weir/io/connection_test.hpp>
#include <weir/io/file.hpp>
#include <weir/io/pipe_ends.hpp>
#include <weir/io/socket.hpp>
#include <weir/io/tls_kit_test.hpp>
#include <weir/io/tls_socket.hpp>
#include <weir/testing/contracts/byte_stream_contract.hpp>
#include <weir/testing/fake_peer.hpp>
#include <weir/testing/internal/caught_failures.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace weir::two_arms_test {
namespace {

using namespace weir::literals;

WEIR_TEST_ON_BOTH("a peer of bytes plays its script on either side of the seam") {
  testing::fake_peer peer;
  peer.expect("ping").send_in_pieces("pong", 2).expect_end().reset();
  listener door = co_await listen({});
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> { co_await peer.serve(door); });
    socket line = co_await connect(door.local());
    co_await line.send("ping");
    std::string got;
    while (got.size() < 4) got += (co_await line.receive()).text();
    EXPECT_EQ(got, "pong");
    co_await line.shutdown_send();
  });
  EXPECT_TRUE(peer.has_finished());
}

struct sockets {
  static task<contract::connection> open() { co_return co_await contract::connect_pair(); }
  static constexpr std::size_t holds_max = std::size_t{16} << 20;  // tcp_wmem and tcp_rmem, about
};
WEIR_BYTE_STREAM_CONTRACT_ON(kernel, sockets);

struct pipes {
  struct ends {
    pipe_writer into;
    pipe_reader out;
  };
  static task<ends> open() {
    auto [reader, writer] = make_pipe();
    co_return ends{std::move(writer), std::move(reader)};
  }
  static constexpr std::size_t holds_max = std::size_t{64} << 10;
};
WEIR_BYTE_STREAM_CONTRACT_ON(both, pipes);

// TLS draws random numbers of its own, so that no run of it repeats: on the kernel only.
struct trust {
  testing::certificate_authority ca;
  std::string ca_text = ca.certificate();
  testing::pem_pair pems = ca.issue({});
  tls_identity identity = pems.identity();
  tls_server server{{.identities = {&identity, 1}}};
  tls_client client{{.ca = ca_text}};
};
struct with_trust {
  std::shared_ptr<trust> by;  // outlives the connection
};
struct tls_end : with_trust, tls_socket {
  tls_end(std::shared_ptr<trust> of, tls_socket on)
      : with_trust{std::move(of)}, tls_socket(std::move(on)) {}
};
struct tls_sockets {
  static task<std::pair<tls_end, tls_end>> open() {
    const auto by = std::make_shared<trust>();
    auto [client, server] = co_await sockets::open();
    auto [outer, inner] = co_await when_all(tls_connect(by->client, std::move(client), "weir.test"),
                                            tls_accept(by->server, std::move(server)));
    co_return std::pair(tls_end(by, std::move(outer)), tls_end(by, std::move(inner)));
  }
  static constexpr std::size_t holds_max = sockets::holds_max;
};
WEIR_BYTE_STREAM_CONTRACT_ON(kernel, tls_sockets);

std::string failure_of(task<> (*body)(), duration patience = 10_s) {
  const testing::caught_failures caught;
  testing::run_on_kernel("epoll", body, patience);
  return caught.text();
}

TEST(KernelArm, fails_with_an_error_that_leaves_the_body_or_is_reported) {
  EXPECT_NE(failure_of([]() -> task<> {
              raise(error(errc::not_found, "no such queue"));
              co_return;
            }).find("no such queue"),
            std::string::npos);
  EXPECT_NE(failure_of([]() -> task<> {
              co_await with_scope({.failures = weir::report}, [](scope& s) -> task<> {
                s.spawn([]() -> task<> {
                  raise(error(errc::busy, "a reported one"));
                  co_return;
                });
                co_await s.join();
              });
            }).find("a reported one"),
            std::string::npos);
}

TEST(KernelArm, fails_with_sockets_that_stay_open_and_with_a_body_that_does_not_end) {
  static io_handle left = -1;
  EXPECT_NE(failure_of([]() -> task<> {
              left = loop::current()->io().make_socket(2);
              co_return;
            }).find("left open: "),
            std::string::npos);
  ::close(static_cast<int>(left));
  EXPECT_NE(failure_of([]() -> task<> { co_await sleep(1_h); }, 5_ms).find("timed_out"),
            std::string::npos);
}

TEST(KernelArm, names_a_socket_and_a_file_that_static_variables_keep_and_lets_them_be_closed) {
  static std::optional<listener> door;
  static std::optional<file> null;
  const auto keeps = []() -> task<> {
    door = co_await listen({});
    null = co_await open_file("/dev/null");
  };
  for (const char* driver : {"epoll", "io_uring"}) {
    {
      const testing::caught_failures caught;
      testing::run_on_kernel(driver, keeps, 10_s);
      if (door) EXPECT_NE(caught.text().find("left open: "), std::string::npos);
    }
    door.reset();
    null.reset();
  }
}

TEST(KernelArm, fails_with_a_child_process_that_is_left) {
  static pid_t left = -1;
  EXPECT_NE(failure_of([]() -> task<> {
              left = ::fork();
              if (left == 0) ::_exit(0);
              co_return;
            }).find("left behind: a child process"),
            std::string::npos);
  ::waitpid(left, nullptr, 0);
}

TEST(KernelArm, passes_what_is_right_and_lets_expectations_speak) {
  EXPECT_EQ(failure_of([]() -> task<> { co_await sleep(1_ms); }), "");
  EXPECT_NE(failure_of([]() -> task<> {
              EXPECT_EQ(1, 2);
              co_return;
            }).find("Expected equality"),
            std::string::npos);
}

}  // namespace
}  // namespace weir::two_arms_test
