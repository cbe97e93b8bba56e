// Terminals of a virtual network: two ends that are connected, of which one has a size.
#include <weir/sim/virtual_network.hpp>

#include <weir/sim/internal/network_endpoint.hpp>

#include <errno.h>
#include <sys/socket.h>

namespace weir {

int virtual_network::make_terminal(io_handle (&ends)[2], int rows, int columns) {
  if (!host_.has_room()) return -EMFILE;
  endpoint& user = make_endpoint(ends[0] = host_.new_handle(), AF_UNIX);
  endpoint& program = make_endpoint(ends[1] = host_.new_handle(), AF_UNIX);
  user.is = program.is = endpoint::kind::connected;
  user.peer = program.handle;
  program.peer = user.handle;
  program.is_terminal = true;
  program.rows = rows;
  program.columns = columns;
  return 0;
}

int virtual_network::set_terminal_size(io_handle handle, int rows, int columns) {
  endpoint* e = at(handle);
  if (!e || !e->is_terminal) return e ? -ENOTTY : -EBADF;
  e->rows = rows;
  e->columns = columns;
  return 0;
}

int virtual_network::terminal_size_of(io_handle handle, int& rows, int& columns) const {
  const endpoint* e = at(handle);
  if (!e || !e->is_terminal) return e || disk_.has(handle) ? -ENOTTY : -EBADF;
  if (e->peer == -1) return -EIO;  // the user has hung up
  rows = e->rows;
  columns = e->columns;
  return 0;
}

}  // namespace weir
