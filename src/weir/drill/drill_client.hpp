// The clients of a simulated server, one program for each of their machines: submitters, workers,
// watchers, and who is called with messages and replies. They behave as good clients of
// docs/reference/http-api.md do, with bad luck: they are slow, they forget, they die; and they tell
// the ledger what they have heard.
#pragma once

#include <weir/drill/ledger.hpp>
#include <weir/flow/event.hpp>
#include <weir/http/client.hpp>
#include <weir/sim/virtual_nodes.hpp>

#include <boost/json/fwd.hpp>

#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

namespace weir::http {
class request;
class response;
}  // namespace weir::http

namespace weir::drill {

class drill_listener;

inline constexpr std::string_view token = "drill-token-0123456789abcdef";
inline constexpr std::uint16_t server_port = 8420;
inline constexpr std::uint16_t call_port = 9000;  // of each client: the server calls it

/// What all clients of a drill share; it outlives their deaths.
struct client_orders {
  explicit client_orders(ledger& to) noexcept : book(to) {}

  ledger& book;
  drill_listener* listener = nullptr;  // hears all of them
  std::string server;                  // "http://10.0.0.1:8420"
  std::string authority;         // PEM: who has issued the server's certificates; empty: no TLS
  std::string worker;            // "http://10.0.0.2:9000/work": who is called with messages
  std::uint32_t submitters = 2;  // of each machine
  std::uint32_t workers = 3;
  std::uint32_t watchers = 1;
  duration wait = {};   // of a worker for a message
  duration pause = {};  // of a submitter, on the average
  std::uint32_t body_bytes_max = 0;
  std::uint64_t bytes_submitted = 0;  // bodies, and what a message's life adds to them
  bool churns = false;                // somebody sends what is soon forgotten
  bool submits = true;                // false: the end is near, only what is there is worked on
  bool is_patient = true;             // false: workers no longer fail or forget anything
  bool may_fail_inside = false;       // a 500 is no broken promise: disks fail
  std::string examiner;               // the machine that examines the server: "10.0.0.2"
  bool is_narrow = false;             // connections take a few bytes at a time
  bool wants_exam = false;
  bool is_examined = false;
  bool wants_renewal = false;      // the examiner asks for a server that ends and starts again
  bool wants_certificate = false;  // ... and for one that gets a new certificate
  std::uint32_t certificate = 1;   // the number of the one that it was given last
};

/// One machine's clients.
///
/// Cancel:  ends all of them.
/// Order:   each client one request after the other.
/// Bound:   client_orders.
/// Errors:  what a server or a network does to them is expected; what is against the interface's
///          promises goes to the ledger.
/// Threads: one.
class client_program final : public node_program {
 public:
  explicit client_program(client_orders& orders) noexcept : orders_(orders) {}
  WEIR_CORO_WRAPPER task<> main(virtual_node& on) override { return run(&on); }

 private:
  struct answer;
  /// One machine's life: what goes with it when it dies.
  struct life;

  task<> run(virtual_node* on);
  task<> submit_always(life* of);
  task<> submit(life* of);
  task<> submit_again(life* of);
  task<> work_always(life* of);
  task<> work_on(life* of, const queue_rules* queue, delivery what, std::string receipt);
  task<> give_back(life* of, const delivery* what, const std::string* receipt);
  task<> acknowledge(life* of, std::string id, std::string receipt, std::uint32_t attempt);
  task<> watch_always(life* of);
  task<> churn_always(life* of);
  task<> take_calls(life* of);
  task<> take_reply(life* of, http::request& request, http::response& response);
  task<> take_push(life* of, http::request& request, http::response& response);
  task<> make_queues(life* of);
  task<> examine_when_asked(life* of);
  task<answer> call(life* of, std::string_view method, std::string path, std::string body = {},
                    std::vector<std::pair<std::string, std::string>> fields = {});

  client_orders& orders_;
};

/// The queues of a drill. From the last one messages are pushed, from the others they are taken.
inline constexpr queue_rules drill_queues[] = {{"plain", 5, duration::seconds(10)},
                                               {"hard", 2, duration::seconds(2)},
                                               {"endless", 0, duration::seconds(5)},
                                               {"pushed", 6}};
inline constexpr const queue_rules& pushed_queue = drill_queues[std::size(drill_queues) - 1];

}  // namespace weir::drill
