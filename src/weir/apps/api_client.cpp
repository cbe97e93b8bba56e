#include <weir/apps/api_client.hpp>

#include <weir/apps/run_here.hpp>
#include <weir/base/text.hpp>
#include <weir/http/client.hpp>
#include <weir/wire/percent.hpp>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <vector>

namespace weir {

namespace {

constexpr std::size_t token_file_bytes_max = 64 * 1024;
constexpr std::size_t reply_bytes_max = 1u << 30;

/// The first token of a token file: comments and empty lines are left out, as the server does.
std::string first_token(const std::string& path) {
  const std::string text = read_file(path, token_file_bytes_max);
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = trim(rest.substr(0, end));
    if (!line.empty() && line.front() != '#') return std::string(line);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  throw command_failure{exit_code::usage, fmt::format("{}: has no token", path)};
}

task<api_reply> send_call(std::string url, std::vector<http_field> fields, const api_call* call) {
  http::client_options options;
  options.message.body_bytes_max = reply_bytes_max;
  options.response_timeout = call->patience;
  options.timeout = call->patience;
  http::client client(options);
  http::client_response response = co_await client.send({.method = call->method,
                                                         .url = url,
                                                         .headers = fields,
                                                         .body = call->body,
                                                         .timeout = call->patience});
  co_return api_reply{response.status(), std::move(response.body)};
}

}  // namespace

void client_options::add_to(CLI::App& command) {
  url = "http://127.0.0.1:8420";
  command.add_option("--url", url, "The server (default " + url + ")")
      ->envname("WEIR_URL")
      ->type_name("URL");
  command.add_option("--token-file", token_file, "File whose first token is sent to the server")
      ->envname("WEIR_TOKEN_FILE")
      ->type_name("FILE");
  command.add_flag("--json", json, "For programs: print what the server answers");
}

api_reply call_server(const client_options& options, const api_call& call) {
  std::string base = options.url;
  while (base.ends_with('/')) base.pop_back();
  std::vector<http_field> fields;
  for (const auto& [name, value] : call.fields) fields.push_back({name, value});
  std::string authorization;
  if (!options.token_file.empty()) {
    authorization = "Bearer " + first_token(options.token_file);
    fields.push_back({"Authorization", authorization});
  }
  try {
    api_reply reply = run_here(send_call(base + call.path, std::move(fields), &call));
    if (reply.status >= 400) raise_problem(reply.status, reply.body);
    return reply;
  } catch (const exception& failed) {
    raise(
        error(failed.reason().code(), fmt::format("calling {}", base)).caused_by(failed.reason()));
  }
}

std::string encoded(std::string_view text) {
  std::string out;
  append_percent_encoded(out, text);
  return out;
}

}  // namespace weir
