#include <weir/apps/api_client.hpp>

#include <weir/apps/run_here.hpp>
#include <weir/base/text.hpp>
#include <weir/http/client.hpp>
#include <weir/io/tls_context.hpp>
#include <weir/wire/percent.hpp>
#include <weir/wire/url.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <exception>
#include <new>
#include <optional>
#include <thread>
#include <vector>

namespace weir {

namespace {

constexpr std::size_t token_file_bytes_max = 64 * 1024;
constexpr std::size_t pem_file_bytes_max = 16u << 20;
constexpr std::size_t reply_bytes_max = 1u << 30;
// Each call has a patience of its own, which covers this.
constexpr duration response_timeout = duration::seconds(86'400);

constexpr duration wait_piece = duration::seconds(60);
constexpr duration asks_apart = duration::milliseconds(100);

time_point steady_now() {
  return time_point(std::chrono::steady_clock::now().time_since_epoch().count());
}

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

/// Where it began.
const error& root_of(const error& failure) noexcept {
  const error* at = &failure;
  while (at->cause()) at = at->cause();
  return *at;
}

std::string read_pem(const std::string& path) {
  return path.empty() ? std::string() : read_file(path, pem_file_bytes_max);
}

/// Null when nothing is said: the http client then trusts as the system does.
std::unique_ptr<tls_client> tls_of(const caller_options& options) {
  if (options.certificate.empty() != options.certificate_key.empty()) {
    throw command_failure{exit_code::usage,
                          "a server that asks for a certificate needs both: the certificate "
                          "(--tls-cert) and its key (--tls-key)"};
  }
  if (options.ca.empty() && options.certificate.empty()) return nullptr;
  const std::string ca = read_pem(options.ca);
  const std::string certificate = read_pem(options.certificate);
  const std::string key = read_pem(options.certificate_key);
  return std::make_unique<tls_client>(
      tls_client_settings{.ca = ca,
                          .ca_name = options.ca,
                          .identity = {.certificate = certificate,
                                       .key = key,
                                       .certificate_name = options.certificate,
                                       .key_name = options.certificate_key}});
}

[[noreturn]] void raise_no_weir(std::string_view base, std::string_view sent) {
  throw command_failure{
      exit_code::unreachable,
      fmt::format("what answers at {} is no weir server: it sent {}", base, sent)};
}

/// Why nobody answers, for people. What isn't told here is told by its chain of causes.
void raise_unreachable(const std::string& base, const error& failure) {
  const error& root = root_of(failure);
  const auto fail = [&](std::string_view what) {
    throw command_failure{exit_code::unreachable, std::string(what)};
  };
  if (root.os_code() == ECONNREFUSED) {
    fail(
        fmt::format("no server answers at {} (connection refused): is `weir serve` running there? "
                    "--url or WEIR_URL names another",
                    base));
  }
  if (failure == errc::not_found) {  // the host's name
    fail(fmt::format("no server is at {}: {}; --url or WEIR_URL names another", base,
                     root.message()));
  }
  if (root.message().contains("certificate required")) {  // the alert of TLS 1.3
    fail(
        fmt::format("the server at {} takes only clients with a certificate: --tls-cert and "
                    "--tls-key name one",
                    base));
  }
}

}  // namespace

void caller_options::add_to(command_syntax command) {
  url = "http://127.0.0.1:8420";
  command.option("--url", url, "The server (default " + url + ")")
      .or_environment("WEIR_URL")
      .called("URL");
  command.option("--token-file", token_file, "File whose first token is sent to the server")
      .or_environment("WEIR_TOKEN_FILE")
      .called("FILE");
  command
      .option("--ca", ca,
              "Whose certificates are trusted for https, a PEM file (default: as the system)")
      .or_environment("WEIR_CA")
      .called("FILE");
  command
      .option("--tls-cert", certificate,
              "Our certificate for https, where the server asks for one (serve --tls-client-ca)")
      .or_environment("WEIR_TLS_CERT")
      .called("FILE");
  command.option("--tls-key", certificate_key, "The key of --tls-cert")
      .or_environment("WEIR_TLS_KEY")
      .called("FILE");
  command.flag("--json", json, "For programs: print what the server answers");
}

server_caller::server_caller(const caller_options& options, std::uint32_t connections)
    : base_(options.url) {
  while (base_.ends_with('/')) base_.pop_back();
  if (const auto parsed = parse_url(base_); !parsed) {
    throw command_failure{exit_code::usage, fmt::format("'{}' (--url, WEIR_URL) is no {}",
                                                        options.url, parsed.error().message())};
  }
  if (!options.token_file.empty()) authorization_ = "Bearer " + first_token(options.token_file);
  http::client_options of;
  of.message.body_bytes_max = reply_bytes_max;
  of.connections_per_host_max = connections;
  of.response_timeout = response_timeout;
  tls_ = tls_of(options);
  of.tls = tls_.get();
  client_ = std::make_unique<http::client>(of);
}

server_caller::~server_caller() = default;

task<api_reply> server_caller::call(const api_call& call) const {
  std::vector<http_field> fields;
  for (const auto& [name, value] : call.fields) fields.push_back({name, value});
  if (!authorization_.empty()) fields.push_back({"Authorization", authorization_});
  const std::string url = base_ + call.path;
  std::optional<http::client_response> response;
  try {  // not as_result(): a cancelled call is no failure
    response = co_await client_->send({.method = call.method,
                                       .url = url,
                                       .headers = fields,
                                       .body = call.body,
                                       .timeout = call.patience});
  } catch (const exception& failed) {
    raise_unreachable(base_, failed.reason());
    const errc code = failed.reason().code();
    const error told = error(code, fmt::format("calling {}", base_)).caused_by(failed.reason());
    // A certificate that isn't trusted, no version of TLS that both know, a firewall's EPERM.
    if (code == errc::permission_denied || code == errc::unsupported) {
      throw command_failure{exit_code::unreachable, describe(told)};
    }
    raise(told);
  }
  const std::string_view type = response->head.field("Content-Type").value_or("");
  if (!response->body.empty() && !type.starts_with("application/")) {
    const std::string sent = type.empty() ? std::string("a body without a Content-Type")
                                          : fmt::format("'{}'", type.substr(0, 100));
    raise_no_weir(base_, sent);
  }
  if (response->status() >= 400) raise_problem(response->status(), response->body);
  co_return api_reply{response->status(), std::move(response->body), base_};
}

api_reply call_server(const caller_options& options, const api_call& call) {
  const auto call_once = [](const caller_options* to, const api_call* what) -> task<api_reply> {
    const server_caller caller(*to);
    co_return co_await caller.call(*what);
  };
  return run_here(call_once(&options, &call));
}

void read_answer(const api_reply& reply, const std::function<void(std::string_view json)>& read) {
  constexpr std::size_t shown_max = 100;
  try {
    read(reply.body);
  } catch (const exception&) {
    throw;  // ours tell more
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception&) {  // Boost.JSON has several
    const std::string_view text = trim(reply.body);
    const bool is_cut = text.size() > shown_max;
    raise_no_weir(reply.from, text.empty() ? std::string("nothing")
                                           : fmt::format("'{}'{}", text.substr(0, shown_max),
                                                         is_cut ? "..." : ""));
  }
}

void ask_again_for(duration patience, const std::function<bool(duration piece)>& ask) {
  const time_point until = steady_now() + patience;
  for (;;) {
    const time_point begin = steady_now();
    const duration left = std::max(duration(), until - begin);
    const duration piece = duration::milliseconds(std::min(left, wait_piece).ns / 1'000'000);
    if (ask(piece) || piece.ns == 0) return;
    // A server may let nobody wait at all.
    const time_point next = std::min(begin + asks_apart, until);
    const duration pause = std::max(duration(), next - steady_now());
    std::this_thread::sleep_for(std::chrono::nanoseconds(pause.ns));
  }
}

std::string encoded(std::string_view text) {
  std::string out;
  append_percent_encoded(out, text);
  return out;
}

}  // namespace weir
