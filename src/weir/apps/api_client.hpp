// Calls to a running server, as the commands make them.
#pragma once

#include <weir/apps/command.hpp>
#include <weir/base/time.hpp>
#include <weir/core/task.hpp>
#include <weir/wire/http_head.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weir {

/// Where the server is and who we are; also --json, which all of these commands have.
struct caller_options {
  std::string url;
  std::string token_file;
  std::string ca;
  std::string certificate;      // ours, for servers that ask for one
  std::string certificate_key;  // its key
  bool json = false;

  /// Adds --url, --token-file, --ca, --tls-cert, --tls-key and --json.
  void add_to(command_syntax command);
};

struct api_call {
  std::string_view method = "GET";
  std::string path;
  std::vector<std::pair<std::string, std::string>> fields = {};
  std::string_view body = {};
  duration patience = duration::seconds(30);  // how long the server may take
};

struct api_reply {
  int status = 0;
  std::string body;
  std::string from = {};  // the server, as it was named
};

/// Calls `read`, which parses the reply's body and takes out of it what it needs. What isn't there,
/// or has another type, was said by something else than weir: a command_failure (unreachable).
void read_answer(const api_reply& reply, const std::function<void(std::string_view json)>& read);

class tls_client;
namespace http {
class client;
}

/// Calls to one server from tasks.
///
/// Cancel:  a cancelled call may or may not have reached the server.
/// Order:   calls of several tasks are in flight together, each on a connection of its own.
/// Bound:   `connections` calls at once, then they wait.
/// Errors:  `refused`, `timed_out` ... when nobody answers; a command_failure (refused) with the
///          server's words for an answer that is a problem.
/// Threads: one loop.
class server_caller {
 public:
  explicit server_caller(const caller_options& options, std::uint32_t connections = 16);
  server_caller(const server_caller&) = delete;
  server_caller& operator=(const server_caller&) = delete;
  ~server_caller();

  /// `call` lives until the reply is there.
  task<api_reply> call(const api_call& call) const;
  /// The server's address as it was given, without slashes at its end.
  const std::string& name() const noexcept { return base_; }

 private:
  std::string base_;
  std::string authorization_;        // empty: none
  std::unique_ptr<tls_client> tls_;  // null: trusts as the system, and shows no certificate
  std::unique_ptr<http::client> client_;
};

/// Makes one call from outside of tasks.
api_reply call_server(const caller_options& options, const api_call& call);

/// Waits for longer than servers let one request wait: `ask` gets how long to ask for and says
/// whether that was all. The last time, when `patience` is over, that is 0.
void ask_again_for(duration patience, const std::function<bool(duration piece)>& ask);

/// `text` as a path segment.
std::string encoded(std::string_view text);

}  // namespace weir
