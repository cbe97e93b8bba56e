// The client's connections, by host. The hard idea: a place among a host's connections is handed
// on fairly: who comes while others wait goes behind them, even when a place has just become free.
//
// Invariants: (1) live counts the connections of a host, idle ones included; live <= max;
//             (2) while tasks wait for a place and one is free, one of them has been woken.
#pragma once

#include <weir/core/loop.hpp>
#include <weir/flow/event.hpp>
#include <weir/http/client.hpp>
#include <weir/http/internal/client_connection.hpp>
#include <weir/io/tls_context.hpp>
#include <weir/wire/url.hpp>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir::http::detail {

struct pooled_host {
  std::uint32_t live = 0;     // (1)
  std::uint32_t waiting = 0;  // woken ones included, until they go on
  std::uint32_t users = 0;    // requests under way: as long as there are any, it stays
  time_point last_use;
  condition room;
  std::vector<std::unique_ptr<client_connection>> idle;  // the last one used is at the end
};

class connection_pool {
 public:
  explicit connection_pool(client_options options) noexcept;
  connection_pool(const connection_pool&) = delete;
  connection_pool& operator=(const connection_pool&) = delete;
  ~connection_pool();

  /// A request's hold on a host.
  class visit {
   public:
    explicit visit(pooled_host& host) noexcept : host_(host) { ++host_.users; }
    visit(const visit&) = delete;
    visit& operator=(const visit&) = delete;
    ~visit();
    pooled_host& host() const noexcept { return host_; }

   private:
    pooled_host& host_;
  };

  pooled_host& host_of(const url& to);
  /// A connection, in the order of the calls; a new one when `is_fresh`.
  task<std::unique_ptr<client_connection>> take(const visit& at, const url& to, bool is_fresh);
  /// Keeps the connection for the next request, or closes it.
  void give_back(std::unique_ptr<client_connection> used) noexcept;

  void note_made(pooled_host& host) noexcept;
  void note_gone(pooled_host& host) noexcept;
  const client_options& options() const noexcept { return options_; }
  /// The options' own, or one made at the first use.
  tls_client& tls();
  client_stats& counts() noexcept { return counts_; }
  client_stats stats() const noexcept;

 private:
  friend class client_connection;
  class place_in_line;
  struct expiry : weir::detail::callback_timer {
    connection_pool* of = nullptr;
    loop* on = nullptr;
  };

  bool has_room(const pooled_host& host) const noexcept {
    return !host.idle.empty() || host.live < options_.connections_per_host_max;
  }
  std::unique_ptr<client_connection> pick(pooled_host& host, bool is_fresh);
  void make_room_for_host();
  void set_expiry() noexcept;
  void close_expired() noexcept;

  client_options options_;
  client_stats counts_;
  expiry expiry_;
  std::optional<tls_client> own_tls_;
  std::map<std::string, pooled_host, std::less<>> hosts_;
};

}  // namespace weir::http::detail
