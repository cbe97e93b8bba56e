// RabbitMQ's side of durable_bench, through librabbitmq: a durable classic queue, persistent
// messages, publisher confirms, 64 of them in flight; then with a consumer that acknowledges each
// message. The server starts here, with its defaults, on loopback and in a folder of its own. How
// the 64 are spread over connections is RabbitMQ's choice: each layout is tried, the best counts.
#include "../conversations.hpp"
#include "../server_process.hpp"
#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_tcp_socket.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace {

constexpr amqp_channel_t channel = 1;
constexpr int prefetch = 64;

/// A connection with one channel.
class link {
 public:
  explicit link(int port) : state_(amqp_new_connection()) {
    amqp_socket_t* socket = amqp_tcp_socket_new(state_);
    const bool is_open = amqp_socket_open(socket, "127.0.0.1", port) == AMQP_STATUS_OK;
    if (!is_open) bench::die("rabbitmq: no connection");
    check(amqp_login(state_, "/", 0, 131'072, 0, AMQP_SASL_METHOD_PLAIN, "guest", "guest"));
    amqp_channel_open(state_, channel);
    check(amqp_get_rpc_reply(state_));
  }
  link(const link&) = delete;
  link& operator=(const link&) = delete;
  ~link() { amqp_destroy_connection(state_); }

  std::uint64_t declare(const std::string& queue) {
    const auto* made = amqp_queue_declare(state_, channel, amqp_cstring_bytes(queue.c_str()), 0, 1,
                                          0, 0, amqp_empty_table);
    check(amqp_get_rpc_reply(state_));
    return made->message_count;
  }
  void confirm() {
    amqp_confirm_select(state_, channel);
    check(amqp_get_rpc_reply(state_));
  }
  void consume(const std::string& queue) {
    amqp_basic_qos(state_, channel, 0, prefetch, 0);
    amqp_basic_consume(state_, channel, amqp_cstring_bytes(queue.c_str()), amqp_empty_bytes, 0, 0,
                       0, amqp_empty_table);
    check(amqp_get_rpc_reply(state_));
  }
  void publish(const std::string& queue, const std::string& body) {
    amqp_basic_properties_t properties{};
    properties._flags = AMQP_BASIC_DELIVERY_MODE_FLAG;
    properties.delivery_mode = AMQP_DELIVERY_PERSISTENT;
    const amqp_bytes_t text{body.size(), const_cast<char*>(body.data())};
    const int sent = amqp_basic_publish(state_, channel, amqp_empty_bytes,
                                        amqp_cstring_bytes(queue.c_str()), 0, 0, &properties, text);
    if (sent != AMQP_STATUS_OK) bench::die("rabbitmq: publishing failed");
  }
  void ack(std::uint64_t tag) {
    if (amqp_basic_ack(state_, channel, tag, 0) != 0) bench::die("rabbitmq: no acknowledgement");
  }
  /// False: no frame is there now.
  bool next(amqp_frame_t& frame) {
    amqp_maybe_release_buffers(state_);
    timeval none{};
    const int got = amqp_simple_wait_frame_noblock(state_, &frame, &none);
    if (got == AMQP_STATUS_TIMEOUT) return false;
    if (got != AMQP_STATUS_OK) bench::die("rabbitmq: the connection broke");
    return true;
  }
  int handle() const { return amqp_get_sockfd(state_); }

 private:
  static void check(amqp_rpc_reply_t reply) {
    if (reply.reply_type != AMQP_RESPONSE_NORMAL) bench::die("rabbitmq: a call failed");
  }
  amqp_connection_state_t state_;
};

/// A connection that publishes, some messages ahead of their confirmations.
struct publisher {
  explicit publisher(int port) : to(port) { to.confirm(); }

  void fill(const std::string& queue, const std::string& body, std::size_t window,
            bench::budget& budget) {
    while (sent_at.size() < window && budget.take()) {
      sent_at.push_back(bench::wall_ns());
      to.publish(queue, body);
    }
  }
  /// True when something was heard.
  bool hear(std::vector<double>& confirmed_ms) {
    bool heard = false;
    for (amqp_frame_t frame; to.next(frame); heard = true) {
      if (frame.frame_type != AMQP_FRAME_METHOD) continue;
      if (frame.payload.method.id != AMQP_BASIC_ACK_METHOD) bench::die("rabbitmq: not confirmed");
      const auto* ack = static_cast<amqp_basic_ack_t*>(frame.payload.method.decoded);
      confirm(ack->delivery_tag, ack->multiple != 0, confirmed_ms);
    }
    return heard;
  }
  bool is_done() const { return sent_at.empty(); }

  link to;
  std::deque<std::int64_t> sent_at;  // from tag first_ on; 0: confirmed out of order

 private:
  void confirm(std::uint64_t tag, bool is_multiple, std::vector<double>& confirmed_ms) {
    const std::int64_t now = bench::wall_ns();
    for (std::uint64_t one = is_multiple ? first_ : tag; one <= tag; ++one) {
      std::int64_t& at = sent_at[one - first_];
      if (at != 0) confirmed_ms.push_back(static_cast<double>(now - at) / 1e6);
      at = 0;
    }
    for (; !sent_at.empty() && sent_at.front() == 0; ++first_) sent_at.pop_front();
  }
  std::uint64_t first_ = 1;
};

/// A connection that takes messages and acknowledges each.
struct consumer {
  bool hear() {
    bool heard = false;
    for (amqp_frame_t frame; from->next(frame); heard = true) {
      if (frame.frame_type == AMQP_FRAME_METHOD) {
        const auto* got = static_cast<amqp_basic_deliver_t*>(frame.payload.method.decoded);
        tag = got->delivery_tag;
      } else if (frame.frame_type == AMQP_FRAME_BODY) {  // a body of 1 KiB is one frame
        bytes += frame.payload.body_fragment.len;
        from->ack(tag);
      }
    }
    return heard;
  }
  std::unique_ptr<link> from;
  std::uint64_t tag = 0;
  std::uint64_t bytes = 0;
};

bench::load_outcome publish(int port, const std::string& queue, std::size_t connections,
                            std::size_t in_flight, bool lives, std::int64_t count) {
  std::deque<publisher> publishers;
  std::vector<pollfd> polls;
  for (std::size_t i = 0; i < connections; ++i) {
    polls.push_back({publishers.emplace_back(port).to.handle(), POLLIN, 0});
  }
  consumer takes;
  if (lives) {
    takes.from = std::make_unique<link>(port);
    takes.from->consume(queue);
    polls.push_back({takes.from->handle(), POLLIN, 0});
  }
  const std::string body(bench::body_bytes, 'x');
  const std::uint64_t bytes_wanted = lives ? static_cast<std::uint64_t>(count) * body.size() : 0;
  bench::budget budget{count};
  bench::load_outcome outcome;
  const std::int64_t began = bench::wall_ns();
  const std::int64_t cpu_before = bench::cpu_ns();
  for (bool is_done = false; !is_done;) {
    bool heard = false;
    is_done = budget.left == 0;
    for (publisher& one : publishers) {
      one.fill(queue, body, in_flight / connections, budget);
      heard = one.hear(outcome.confirmed_ms) || heard;
      is_done = is_done && one.is_done();
    }
    if (lives) heard = takes.hear() || heard;
    is_done = is_done && takes.bytes == bytes_wanted;
    if (!heard && !is_done && poll(polls.data(), polls.size(), 60'000) == 0) {
      bench::die("rabbitmq is silent");
    }
  }
  outcome.seconds = static_cast<double>(bench::wall_ns() - began) / 1e9;
  outcome.client_busy = static_cast<double>(bench::cpu_ns() - cpu_before) / 1e9 / outcome.seconds;
  std::sort(outcome.confirmed_ms.begin(), outcome.confirmed_ms.end());
  return outcome;
}

/// Erlang's nodes register with a daemon: a private one, so that nothing stays behind.
struct server {
  server()
      : folder("durable-rabbitmq"),
        port(bench::free_port()),
        variables{"HOME=" + folder.path(),
                  "ERL_EPMD_ADDRESS=127.0.0.1",
                  "ERL_EPMD_PORT=" + std::to_string(bench::free_port()),
                  "RABBITMQ_NODENAME=bench@localhost",
                  "RABBITMQ_NODE_IP_ADDRESS=127.0.0.1",
                  "RABBITMQ_NODE_PORT=" + std::to_string(port),
                  "RABBITMQ_DIST_PORT=" + std::to_string(bench::free_port()),
                  "RABBITMQ_MNESIA_BASE=" + folder.path(),
                  "RABBITMQ_LOG_BASE=" + folder.path(),
                  "RABBITMQ_LOGS=-",
                  "NOTIFY_SOCKET=" + folder.path() + "/none",  // then its shell becomes the server
                  "RABBITMQ_PID_FILE=" + folder.path() + "/pid",
                  "RABBITMQ_CONFIG_FILE=" + folder.path() + "/none",
                  "RABBITMQ_CONF_ENV_FILE=" + folder.path() + "/none",
                  "RABBITMQ_ENABLED_PLUGINS_FILE=" + folder.path() + "/plugins"},
        names({"epmd"}, variables, folder.path() + "/epmd.log"),
        process({"/usr/lib/rabbitmq/bin/rabbitmq-server"}, variables, folder.path() + "/log") {
    std::ofstream(folder.path() + "/plugins") << "[].\n";
    process.wait_for("Server startup complete");
  }

  void load(const std::string& name, bool lives, std::vector<std::size_t> layouts,
            std::size_t in_flight, std::int64_t count) const {
    bench::load_outcome best;
    std::uint64_t checksum = 0;
    for (const std::size_t connections : layouts) {
      const std::string queue =
          name + std::to_string(in_flight) + "-" + std::to_string(connections);
      link(port).declare(queue);
      const double cpu_before = process.cpu_us();
      auto outcome = publish(port, queue, connections, in_flight, lives, count);
      std::printf("# rabbitmq %s: %zu connections, %.0f messages/s\n", name.c_str(), connections,
                  static_cast<double>(count) / outcome.seconds);
      if (best.seconds != 0 && best.seconds <= outcome.seconds) continue;
      outcome.server_us = process.cpu_us() - cpu_before;
      best = std::move(outcome);
      const std::uint64_t left = link(port).declare(queue);
      checksum = lives ? static_cast<std::uint64_t>(count) - left : left;
    }
    print_load(name, "in_flight=" + std::to_string(in_flight), count, best, checksum);
  }

  bench::temp_folder folder;
  int port;
  std::vector<std::string> variables;
  bench::server_process names;
  bench::server_process process;
};

}  // namespace

int main(int argc, char** argv) {
  const bool small = bench::is_small(argc, argv);
  return bench::run([small] {
    bench::pin_to(bench::client_core);
    const server rabbit;
    rabbit.load("submit", false, {1, 8, 64}, 64, small ? 128 : 60'000);
    rabbit.load("life", true, {1, 8}, 64, small ? 128 : 60'000);
    rabbit.load("submit", false, {1}, 1, small ? 10 : 2'000);
  });
}
