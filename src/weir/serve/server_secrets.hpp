// What lets clients in and proves who we are: tokens, certificates, and whom to trust. The hard
// idea: all of it can be replaced while the server runs, as a whole or not at all, so a secret is
// changed without an interruption and a wrong file changes nothing.
#pragma once

#include <weir/base/result.hpp>
#include <weir/io/tls_context.hpp>
#include <weir/serve/server_config.hpp>
#include <weir/serve/token_set.hpp>

#include <memory>
#include <optional>
#include <string>

namespace weir {

/// The texts of the files that a config names; absent where it names none.
struct server_files {
  std::optional<std::string> tokens = {};
  std::optional<std::string> tls_cert = {};
  std::optional<std::string> tls_key = {};
  std::optional<std::string> tls_client_ca = {};
  std::optional<std::string> calls_ca = {};
};

/// The secrets of one server.
///
/// Cancel:  plain value, no waits.
/// Order:   a reload is for requests and handshakes that begin after it.
/// Bound:   token_set::tokens_max tokens, one certificate.
/// Errors:  `invalid_argument`: which file is wrong, and what to do.
/// Threads: one loop.
class server_secrets {
 public:
  /// `config` gives the names for errors.
  static result<std::shared_ptr<server_secrets>> load(const server_config& config,
                                                      const server_files& files);
  /// All of it anew. TLS can't be turned on or off that way: the listener stays what it is.
  result<void> reload(const server_config& config, const server_files& files);

  /// Absent: whoever can connect may do everything.
  const std::optional<token_set>& tokens() const noexcept { return tokens_; }
  /// Null: clients speak plain HTTP.
  tls_server* tls() noexcept { return tls_ ? &*tls_ : nullptr; }
  const tls_server* tls() const noexcept { return tls_ ? &*tls_ : nullptr; }
  bool verifies_clients() const noexcept { return verifies_clients_; }
  /// For calls to workers and reply addresses; null: whom the system trusts, read at the first use.
  tls_client* calls() noexcept { return calls_ ? &*calls_ : nullptr; }

 private:
  std::optional<token_set> tokens_;
  std::optional<tls_server> tls_;
  std::optional<tls_client> calls_;
  bool verifies_clients_ = false;
};

}  // namespace weir
