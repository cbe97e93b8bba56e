// Two ends of one connection, for tests on any driver.
#pragma once

#include <weir/core/task.hpp>
#include <weir/io/socket.hpp>

#include <utility>

namespace weir::contract {

struct connection {
  socket client;
  socket server;
};
inline task<connection> connect_pair() {
  listener door = co_await listen({});
  socket client = co_await connect(door.local());
  socket server = co_await door.accept();
  co_return connection{std::move(client), std::move(server)};
}

}  // namespace weir::contract
