// A drill: the code of `weir serve` on a simulated machine, clients on others, faults on all of
// them and in between, and a ledger that holds every answer against the interface's promises. The
// hard idea: nothing of the server is replaced or even knows; only the driver below its loop is
// another.
//
//   chaos ----> machine 0: run_server() over virtual disk and network     ledger: what clients
//   heard
//     |    \--> machine 1..n: client_program                                 ^
//     |            submit, lease, ack, nack, extend, watch, take replies  ---+
//     +--> heal(): faults stop, everything must come to its end; then the server is asked to end,
//          starts again, every message is looked at once more, and it is examined (exam.hpp)
#pragma once

#include <weir/drill/ledger.hpp>
#include <weir/sim/chaos.hpp>
#include <weir/sim/choice.hpp>
#include <weir/sim/probe_book.hpp>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weir::drill {

/// Whether the server speaks TLS with its clients.
enum class tls_use : std::uint8_t { drawn, always, never };  // drawn: by one seed of four

struct drill_settings {
  std::uint32_t nodes = 3;  // machines: the server's and at least one of clients
  duration time = duration::seconds(600);
  chaos_set faults = chaos_set::all();
  duration patience = duration::seconds(1'800);  // for everything to end once faults have stopped
  tls_use tls = tls_use::drawn;
};

/// What is there when a drill begins; none of the machines has started.
struct drill_stage {
  virtual_nodes& machines;
  bool speaks_tls;  // the server does
};

/// Hears what happens in a drill, as it happens.
///
/// Cancel:  no waits.
/// Order:   as things happen.
/// Bound:   none.
/// Errors:  none.
/// Threads: one.
class drill_listener {
 public:
  /// One line without its end: "00:03:12.000200 server killed".
  virtual void event(const std::string& line) = 0;
  /// What a client asked or was told: "00:03:12.000200 client1 acknowledges attempt 2: 204", of the
  /// message with this id; empty: of none that it knows.
  virtual void heard(const std::string& /*line*/, std::string_view /*message*/) {}
  /// Who wants to hear more observes the machines.
  virtual void begins(const drill_stage& /*stage*/) {}

 protected:
  ~drill_listener() = default;
};

/// What a drill came to.
struct drill_report {
  std::string violation;            // empty: all promises were kept
  std::string swarm;                // which faults this run has drawn
  std::vector<std::string> events;  // the last ones before the end
  std::uint64_t fingerprint = 0;    // of everything that happened: equal for equal runs
  choice_log not_reached;           // of the case's log: what the run did not come to
  duration simulated = {};
  std::uint64_t turns = 0;
  std::uint64_t packets = 0;
  std::uint64_t server_starts = 0;
  std::uint64_t disk_bytes_max = 0;  // that the server's folder has taken at one time
  std::uint64_t disk_bytes_bound = 0;
  std::uint64_t memory_bytes_max = 0;  // that the server has held at one time
  std::uint64_t memory_bytes_bound = 0;
  std::uint64_t memory_refused = 0;  // requests for memory that failed by faults
  ledger_counts counts;
  std::array<std::uint64_t, chaos_kinds> strikes{};
  std::vector<probe_book::entry> probes;  // sometimes()
  std::vector<probe_book::entry> maybes;  // maybe()

  bool is_failed() const noexcept { return !violation.empty(); }
};

/// One drill, from its decisions. `listener` may be null.
drill_report run_drill(const drill_settings& settings, choices& decisions,
                       drill_listener* listener = nullptr);

}  // namespace weir::drill
