// What the connections of one server share.
#pragma once

#include <weir/base/intrusive.hpp>
#include <weir/core/loop.hpp>
#include <weir/flow/event.hpp>
#include <weir/http/internal/client_counts.hpp>
#include <weir/http/server.hpp>
#include <weir/io/socket.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace weir::http::detail {

class connection;

struct server_core;

/// The body of a large answer that is on its way: counted as long as this lives. Whoever reads too
/// slowly makes room for others: the oldest goes first, as a fast reader is never old. One whose
/// send has ended and whose task is about to hear so stays: it makes room by itself.
class answer_hold : public list_hook<> {
 public:
  answer_hold(server_core& core, connection& of, std::size_t bytes) noexcept;
  ~answer_hold() { release(); }

 private:
  void release() noexcept;

  server_core& core_;
  connection& of_;
  const weir::detail::task_header& sender_;
  std::uint64_t bytes_;
};

struct server_core {
  server_core(handler what, server_limits within) noexcept : answer(what), limits(within) {}

  /// The Date field's value, made once a second.
  std::string_view date();
  /// False: the client has connections_per_client_max already, or is gone: close this one.
  bool admit(const socket& arrived, client_place& from) {
    try {
      if (clients.enter(arrived.peer(), limits.connections_per_client_max, from)) return true;
      ++stats.connections_refused;
    } catch (const exception&) {  // reset since it was accepted: there is no peer any more
      ++stats.accept_failures;
    }
    return false;
  }

  handler answer;
  tls_server* secure = nullptr;
  client_counts clients;
  server_limits limits;
  server_stats stats;
  bool must_drain = false;  // asked for, perhaps before the server runs
  event drain;              // set when it begins
  scope* accepting = nullptr;
  scope* house = nullptr;  // of the connections, out of reach of outer cancellations
  event house_is_open;
  event house_must_end;
  bool is_cut_off = false;  // the house ends at once rather than in order
  condition room;           // a connection has ended, or become idle
  intrusive_list<connection> connections;
  intrusive_list<answer_hold> answers;  // oldest first; their bytes are stats.answers_bytes

 private:
  std::string date_;
  std::int64_t date_second_ = -1;
};

}  // namespace weir::http::detail
