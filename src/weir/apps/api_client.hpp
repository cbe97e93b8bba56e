// Calls to a running server, as the commands make them.
#pragma once

#include <weir/apps/command.hpp>
#include <weir/base/time.hpp>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weir {

/// Where the server is and who we are; also --json, which all of these commands have.
struct client_options {
  std::string url;
  std::string token_file;
  bool json = false;

  /// Adds --url, --token-file and --json.
  void add_to(CLI::App& command);
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
};

/// Makes the calls one after another on one connection and gives their replies. Raises `refused`,
/// `timed_out` ... when nobody answers, and a command_failure for an answer that is a problem.
api_reply call_server(const client_options& options, const api_call& call);

/// `text` as a path segment.
std::string encoded(std::string_view text);

}  // namespace weir
