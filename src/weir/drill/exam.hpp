// An examination of the server on a calm day: faults have stopped, all that was promised has been
// seen, and the server has just started again over what they have left. The hard idea: much of the
// interface can be judged to the moment only where nothing goes wrong (an order, a delay, who is
// woken, how many calls there are at once), so it is asked here, by one examiner, in queues of its
// own; what holds in any weather is the ledger's business.
#pragma once

#include <weir/core/task.hpp>
#include <weir/drill/ledger.hpp>
#include <weir/http/client.hpp>

#include <boost/json/value.hpp>
#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weir {
class tls_client;
}

namespace weir::http {
class request;
class response;
}  // namespace weir::http

namespace weir::drill {

class client_voice;

struct exam_settings {
  std::string server;       // "http://10.0.0.1:8420"
  std::string server_host;  // "10.0.0.1"
  std::string own;          // the examiner's machine: "10.0.0.2"
  std::string token;
  bool is_narrow = false;             // connections of a few bytes at a time: no large bodies
  bool* wants_renewal = nullptr;      // set: the server is asked to end, and starts again
  tls_client* tls = nullptr;          // null: the server speaks no TLS
  bool* wants_certificate = nullptr;  // set: the server gets a new one
  const std::uint32_t* certificate = nullptr;  // the number of its last one
  const client_voice* voice = nullptr;         // tells what it asks; null: it is silent
};

/// What the way there and back, the disk and the server may take at most.
inline constexpr duration exam_slack = duration::seconds(1);
/// By the clock of the loop that asks.
time_point exam_now();

/// Asks for one thing after the other.
///
/// Cancel:  ends the examination.
/// Order:   subjects one after the other.
/// Bound:   about two hundred requests, three simulated minutes.
/// Errors:  what is not as the interface says it goes to the ledger, the first one ends it.
/// Threads: one loop.
class examiner {
 public:
  examiner(ledger& book, exam_settings settings);

  task<> run();

 private:
  using fields = std::vector<std::pair<std::string, std::string>>;
  struct answer {
    int status = 0;
    boost::json::value body = nullptr;
  };
  /// One message of a lease's answer.
  struct taken {
    std::string id;
    std::string receipt;
    std::string body;
    std::uint64_t attempt = 0;
  };
  struct push_watch;
  struct reply_watch;
  struct waits_watch;

  // Asking. Where there is no answer, or not the one that is wanted, the examination is over.
  task<answer> ask(std::string method, std::string path, std::string body = {}, fields more = {});
  task<answer> want(int status, std::string method, std::string path, std::string body = {},
                    fields more = {});
  task<> make_queue(std::string name, std::string settings);
  /// The new message's id.
  task<std::string> submit(std::string queue, std::string body, fields more = {});
  task<std::vector<taken>> lease(std::string queue, int max, std::string wait = "0s");
  /// One message that comes between the two moments.
  task<taken> lease_between(std::string queue, time_point from, time_point to);
  task<> ack(std::string receipt, std::string result);
  task<std::string> state_of(std::string id);
  std::string path_of(std::string_view queue) const;

  bool is_over() const noexcept { return !book_.violation().empty(); }
  void fail(const std::string& why);
  template <class... A>
  bool require(bool is_so, const char* format, const A&... about) {
    if (!is_so) fail(fmt::format(fmt::runtime(format), about...));
    return is_so;
  }
  std::uint64_t below(std::uint64_t n);

  // Subjects.
  task<> examine_order();
  task<> examine_batches();
  task<> examine_delays();
  task<> examine_leases();
  task<> examine_keys();
  task<> examine_bounds();
  task<> examine_dead_letters();
  task<> examine_lives();
  task<> examine_ends();
  task<> examine_waits();
  task<> examine_push();
  task<> examine_replies();
  task<> examine_events();
  task<> examine_pipelines();
  task<> examine_doors();
  task<> examine_files();
  task<> examine_renewal();
  task<> examine_certificates();

  task<> take_patiently(waits_watch* all);
  task<> take_impatiently(waits_watch* all);
  task<> read_events(std::string path, std::string* into);
  task<std::string> answers_to(std::vector<std::string> requests, duration between,
                               std::size_t count);

  ledger& book_;
  exam_settings settings_;
  const char* subject_ = "";
  http::client client_;
};

}  // namespace weir::drill
