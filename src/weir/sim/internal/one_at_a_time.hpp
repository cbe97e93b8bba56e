// One receive and one send of a socket at a time, as the drivers of the kernel have it: a program
// that would stop there stops in the virtual world, too. A driver without a loop is one that is
// tested by itself, where a wrong one may well lose a request.
#pragma once

#include <weir/base/assert.hpp>
#include <weir/core/driver.hpp>
#include <weir/core/loop.hpp>
#include <weir/sim/internal/network_endpoint.hpp>

#include <errno.h>

#include <vector>

namespace weir::detail {

inline bool is_any_receive(io_op what) noexcept {
  return what == io_op::receive || what == io_op::receive_into || what == io_op::receive_datagrams;
}
inline bool is_any_send(io_op what) noexcept {
  return what == io_op::send || what == io_op::send_datagrams;
}

/// `waiting`: the requests of the socket that `fresh` is for.
inline void make_sure_it_is_alone(const std::vector<io_request*>& waiting,
                                  const io_request& fresh) noexcept {
  if (!loop::current()) return;
  for (const io_request* one : waiting) {
    const bool is_twin = (is_any_receive(one->op) && is_any_receive(fresh.op)) ||
                         (is_any_send(one->op) && is_any_send(fresh.op));
    WEIR_ASSERT(!is_twin && "a socket has one receive and one send at a time");
  }
}

/// Starts a request at an endpoint, null when its handle is none, by `attempt(endpoint, request)`.
/// True: it is finished. False: it waits there.
template <class Endpoint, class Attempt>
bool start_at(Endpoint* of, io_request& request, Attempt attempt) {
  if (of) make_sure_it_is_alone(of->waiting, request);
  request.outcome = of ? attempt(*of, request) : -EBADF;
  if (request.outcome != would_block) return true;
  of->waiting.push_back(&request);
  return false;
}
/// False: it does not wait there.
template <class Endpoint>
bool cancel_at(Endpoint* of, io_request& request) {
  if (!of || std::erase(of->waiting, &request) == 0) return false;
  request.outcome = -ECANCELED;
  return true;
}

}  // namespace weir::detail
