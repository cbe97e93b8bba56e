#include <weir/testing/internal/driver_desk.hpp>

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>
#include <utility>

namespace weir::testing {

driver_desk::~driver_desk() {
  for (asked& one : requests_) {  // memory of the driver
    one.received = {};
    one.datagram.data = {};
  }
  for (const io_handle one : open_) io_->close_now(one);
  look();
}

asked& driver_desk::make(io_op op, io_handle handle) {
  asked& made = requests_.emplace_back();
  made.of = this;
  made.op = op;
  made.handle = handle;
  made.on_complete = [](io_request& request) noexcept {
    auto& one = static_cast<asked&>(request);
    EXPECT_TRUE(one.of->is_waiting_)
        << "told outside of wait(): operation " << static_cast<int>(one.op);
    ++one.tellings;
    if (one.then) one.then(one);
  };
  return made;
}

bool driver_desk::start(asked& one) {
  one.was_complete = io_->submit(one);
  return one.was_complete;
}

void driver_desk::wait(time_point until) {
  is_waiting_ = true;
  io_->wait(until);
  is_waiting_ = false;
}

std::int64_t driver_desk::finish(asked& one) {
  if (wait_until([&] { return one.is_over(); })) return one.outcome;
  ADD_FAILURE() << "no end of operation " << static_cast<int>(one.op) << " is told";
  return no_answer;
}

std::int64_t driver_desk::run(asked& one) {
  start(one);
  return finish(one);
}

void driver_desk::check_tellings() {
  for (int i = 0; i < 3; ++i) look();
  for (const asked& one : requests_) {
    if (!one.is_over()) continue;
    EXPECT_EQ(one.tellings, one.was_complete ? 0 : 1)
        << "calls of on_complete for operation " << static_cast<int>(one.op);
  }
}

io_handle driver_desk::keep(io_handle one) {
  EXPECT_GE(one, 0);
  if (one >= 0) open_.push_back(one);
  return one;
}

io_handle driver_desk::listen(raw_address& at) { return keep(io_->make_listener(at, {})); }

joined driver_desk::join(io_handle door, const raw_address& at) {
  const io_handle client = keep(io_->make_socket(AF_INET));
  asked& accept = make(io_op::accept, door);
  asked& connect = make(io_op::connect, client);
  connect.point_to_peer(at);
  start(accept);
  EXPECT_EQ(run(connect), 0);
  return {.client = client, .server = keep(static_cast<io_handle>(finish(accept)))};
}

joined driver_desk::join() {
  raw_address at = loopback(0);
  const io_handle door = listen(at);
  return join(door, at);
}

void driver_desk::send_all(io_handle on, std::string_view rest) {
  while (!rest.empty()) {
    asked& one = make(io_op::send, on);
    one.point_to_piece(rest);
    const std::int64_t count = run(one);
    if (count <= 0 || static_cast<std::size_t>(count) > rest.size()) {
      ADD_FAILURE() << "a send of " << rest.size() << " bytes ended with " << count;
      return;
    }
    rest.remove_prefix(static_cast<std::size_t>(count));
  }
}

void driver_desk::shutdown(io_handle on) {
  asked& one = make(io_op::shutdown, on);
  one.flags = SHUT_WR;
  EXPECT_EQ(run(one), 0);
}

std::string driver_desk::taken(asked& one) {
  std::string all(one.received.text());
  EXPECT_EQ(static_cast<std::int64_t>(all.size()), one.outcome)
      << "the count is not that of the bytes";
  one.received = {};
  return all;
}

std::string driver_desk::receive(io_handle on, std::size_t count) {
  std::string all;
  while (all.size() < count) {
    asked& one = make(io_op::receive, on);
    const std::int64_t outcome = run(one);
    if (outcome == 0) break;
    if (outcome < 0) {
      ADD_FAILURE() << "a receive ended with " << outcome;
      break;
    }
    all += taken(one);
  }
  return all;
}

raw_address loopback(int port) {
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_port = htons(static_cast<std::uint16_t>(port));
  in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  raw_address out;
  std::memcpy(out.storage, &in, sizeof in);
  out.size = sizeof in;
  return out;
}

int port_of(const raw_address& at) {
  sockaddr_in in{};
  std::memcpy(&in, at.storage, sizeof in);
  return ntohs(in.sin_port);
}

}  // namespace weir::testing
