#include <weir/http/server.hpp>

#include <weir/base/assert.hpp>
#include <weir/base/defect.hpp>
#include <weir/core/as_result.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/http/internal/connection.hpp>
#include <weir/http/internal/server_core.hpp>
#include <weir/io/socket.hpp>

#include <cstdint>
#include <exception>
#include <new>
#include <utility>

namespace weir::http {

using detail::server_core;

namespace {

// Lives as long as connections are accepted. However that ends, those that are open are told.
class closing_time {
 public:
  closing_time(server_core& core, listener& door, const scope& around) noexcept
      : core_(core), door_(door), around_(around) {}
  closing_time(const closing_time&) = delete;
  closing_time& operator=(const closing_time&) = delete;
  ~closing_time() {
    core_.accepting = nullptr;
    door_.close();
    const cancel_kind kind = around_.reason().kind;
    core_.is_cut_off = kind != cancel_kind::none && kind != cancel_kind::shutdown;
    core_.drain.set();
    core_.house_must_end.set();
  }

 private:
  server_core& core_;
  listener& door_;
  const scope& around_;
};

void end_connections(server_core& core) noexcept {
  for (detail::connection& one : core.connections) {
    const bool cuts_all = is_planted("http: cuts off all connections at a drain");
    if (one.is_dispensable() || cuts_all) one.cut_off("the server drains");
  }
}

// The connections' own scope: an outer cancellation must not end them before they are answered.
task<> keep_house(server_core* core) {
  co_await with_scope({.name = "http connections",
                       .tasks_max = core->limits.connections_max,
                       .failures = report,
                       .shield = true},
                      [&](scope& house) -> task<> {
                        core->house = &house;
                        core->house_is_open.set();
                        co_await core->house_must_end.wait();
                        if (core->is_cut_off) {
                          house.cancel("the server was cancelled");
                        } else {
                          house.set_deadline(house.on().now() + core->limits.drain_timeout);
                          end_connections(*core);
                        }
                        co_await house.join();
                      });
  core->house = nullptr;
}

// Nobody can keep others out with connections that are only held: of those, the one that has been
// quiet for the longest time makes room. Its client may connect again.
void end_longest_idle(server_core& core) noexcept {
  for (detail::connection& one : core.connections) {
    if (!one.is_idle()) continue;
    if (one.is_ending()) return;  // its place will be free in a moment
    ++core.stats.connections_displaced;
    one.cut_off("its place is needed");
    return;
  }
}

// A lack of descriptors ends when a connection does; looking again after a second as well helps
// when somebody else holds them.
task<> wait_for_descriptors(server_core* core) {
  co_await with_scope({.name = "accept again", .timeout = duration::seconds(1)},
                      [&](scope&) -> task<> { co_await core->room.wait(); });
}

// Only somebody who has come displaces another: so one connection more than connections_max is held
// while it waits for its place.
bool is_full(const server_core& core) noexcept {
  return core.house->stats().live >= core.limits.connections_max;
}
task<> wait_for_place(server_core* core) {
  ++core->stats.connections_full_waits;
  while (is_full(*core)) {
    end_longest_idle(*core);
    co_await core->room.wait();
  }
}

// Serves the connection in a task of its own. Raises when there is no memory for that: it is
// closed.
void begin_to_serve(server_core& core, socket arrived, detail::client_place from) {
  task<> serving = detail::serve_connection(&core, std::move(arrived), from);
  core.house->spawn(weir::detail::given_task<void>{std::move(serving)});
}

// False: it was closed for want of memory, as one that nobody has promised anything yet.
task<bool> take_in(server_core* core, socket arrived) {
  detail::client_place from;
  try {
    if (core->limits.connections_per_client_max != 0 && !core->admit(arrived, from)) co_return true;
    if (is_full(*core)) co_await wait_for_place(core);
    begin_to_serve(*core, std::move(arrived), from);
  } catch (const std::bad_alloc&) {
    core->clients.leave(from);
    co_return false;
  }
  co_return true;
}

constexpr std::uint32_t failures_in_a_row_max = 8;  // then accepting pauses after each
constexpr duration accept_pause = duration::milliseconds(100);

/// What accepting has met, and so what is to be done before it goes on.
enum class accepted : std::uint8_t { well, failed, without_memory, without_descriptors };

task<accepted> accept_one(server_core* core, listener* door) {
  result<socket> arrived = co_await as_result(door->accept());
  if (arrived) {
    ++core->stats.connections_accepted;
    co_return co_await take_in(core, std::move(*arrived)) ? accepted::well
                                                          : accepted::without_memory;
  }
  co_await checkpoint();  // cancelled: ends here
  switch (arrived.error().code()) {
    case errc::closed:
    case errc::invalid_argument:
      raise(arrived.error());
    case errc::full:
      co_return accepted::without_descriptors;
    case errc::broken:  // the client had left before it was accepted: no sign of more to come
      ++core->stats.accept_failures;
      co_return accepted::well;
    default:
      co_return accepted::failed;
  }
}

// What a stranger, the network or a moment without memory can cause costs at most a connection.
task<> accept_connections(server_core* core, listener* door) {
  std::uint32_t failures = 0;  // of the network, one after the other
  while (true) {
    accepted met = accepted::without_memory;
    try {
      met = co_await accept_one(core, door);
    } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): for the frame of the call
    }
    if (met == accepted::well) {
      failures = 0;
      continue;
    }
    ++core->stats.accept_failures;
    if (met == accepted::failed && ++failures < failures_in_a_row_max) continue;
    if (met != accepted::failed) end_longest_idle(*core);
    bool has_waited = false;
    if (met == accepted::without_descriptors) {
      try {
        co_await wait_for_descriptors(core);
        has_waited = true;
      } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): no memory for it
      }
    }
    if (!has_waited) co_await sleep(accept_pause);
  }
}

}  // namespace

server::server(handler answer, server_limits limits)
    : core_(std::make_unique<server_core>(answer, limits)) {}

server::~server() = default;

task<> server::run(listener door, tls_server* secure) {
  server_core* core = core_.get();
  core->secure = secure;
  WEIR_ASSERT(!core->accepting && !core->drain.is_set() && "a server runs once");
  co_await with_scope({.name = "http server"}, [&](scope& around) -> task<> {
    const closing_time at_the_end(*core, door, around);
    around.spawn(&keep_house, core);
    co_await core->house_is_open.wait();
    co_await with_scope({.name = "accept"}, [&](scope& accepting) -> task<> {
      core->accepting = &accepting;
      if (core->must_drain) accepting.cancel("the server drains");
      co_await accept_connections(core, &door);
    });
  });
}

void server::drain() noexcept {
  core_->must_drain = true;
  if (core_->accepting) core_->accepting->cancel("the server drains");
}

bool server::is_draining() const noexcept { return core_->drain.is_set(); }

server_stats server::stats() const noexcept {
  server_stats now = core_->stats;
  now.connections_live = core_->house ? core_->house->stats().live : 0;
  return now;
}

task<> serve(listener door, handler answer, server_limits limits) {
  server one(answer, limits);
  co_await one.run(std::move(door));
}

}  // namespace weir::http
