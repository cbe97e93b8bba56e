// What TLS ends have in common: certificates, keys, whom to trust, which protocols to offer. The
// hard idea: all of it can be replaced while connections are open (`reload`); those that are open
// keep what they began with, and when the new files are wrong nothing has changed.
//
// Files are read by whoever calls (load_file), so that the same code runs in the virtual world.
#pragma once

#include <weir/base/time.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace weir {

namespace detail {
class tls_server_core;
class tls_client_core;
}  // namespace detail

/// A certificate with its chain, and its private key, both as PEM text. The names are for errors:
/// the paths of the files, mostly.
struct tls_identity {
  std::string_view certificate = {};
  std::string_view key = {};
  std::string_view certificate_name = "the certificate";
  std::string_view key_name = "the key";
};

/// What a server asks of its clients.
enum class tls_client_auth : std::uint8_t {
  none,      // nothing
  optional,  // a certificate may be shown; one that is shown must be valid
  required,  // without a valid certificate no connection
};

/// Values are copied by whoever takes the settings.
struct tls_server_settings {
  /// The first is for clients that name no host or an unknown one (SNI, RFC 6066).
  std::span<const tls_identity> identities = {};
  std::string_view client_ca = {};  // PEM: who may have issued the certificates of clients
  std::string_view client_ca_name = "the client CA file";
  tls_client_auth client_auth = tls_client_auth::none;
  std::span<const std::string_view> protocols = {};    // ALPN (RFC 7301), the best first; none: any
  duration handshake_timeout = duration::seconds(10);  // for the whole handshake
};

struct tls_client_settings {
  std::string_view ca = {};  // PEM: who is trusted; empty: whom the system trusts
  std::string_view ca_name = "the CA file";
  tls_identity identity = {};                        // our own certificate; empty: none
  std::span<const std::string_view> protocols = {};  // ALPN, the best first; none: not said
  duration handshake_timeout = duration::seconds(10);
};

struct tls_stats {
  std::uint64_t handshakes = 0;  // that came to an end in order
  std::uint64_t resumed = 0;     // of these: without certificates, from an earlier session
  std::uint64_t failures = 0;
  std::int64_t not_after = 0;  // when the first certificate expires, in seconds since 1970; 0: none
};

/// The accepting side: give it to tls_accept(). TLS 1.2 and 1.3.
///
/// Cancel:  no waits.
/// Order:   a reload is for handshakes that begin after it.
/// Bound:   `identities_max`; `plain_blocks_max` blocks of 16 KiB hold received plain text, beyond
///          it a receive raises `full`.
/// Errors:  `invalid_argument`: which text is wrong, and what to do. A failed reload changes
///          nothing.
/// Threads: one loop; it outlives its connections.
class tls_server {
 public:
  static constexpr std::size_t identities_max = 64;
  static constexpr std::size_t plain_blocks_max = 8'192;

  explicit tls_server(const tls_server_settings& settings);
  tls_server(tls_server&&) noexcept;
  tls_server& operator=(tls_server&&) noexcept;
  ~tls_server();

  /// New certificates and trust. Sessions of before are not resumed: they were made under the old
  /// rules.
  void reload(const tls_server_settings& settings);

  const char* name() const noexcept { return "tls server"; }
  tls_stats stats() const noexcept;
  detail::tls_server_core& core() noexcept { return *core_; }

 private:
  std::unique_ptr<detail::tls_server_core> core_;
};

/// The connecting side: give it to tls_connect(). Peers are verified: their chain, their time, and
/// the name that was asked for.
///
/// Cancel:  no waits. Made without a CA text it reads the system's store, files of a few hundred
///          KiB.
/// Order:   a reload is for handshakes that begin after it.
/// Bound:   sessions of `sessions_max` hosts are kept, one each; `plain_blocks_max` as in
///          tls_server.
/// Errors:  `invalid_argument`: which text is wrong, and what to do. A failed reload changes
///          nothing.
/// Threads: one loop; it outlives its connections.
class tls_client {
 public:
  static constexpr std::size_t sessions_max = 1'000;
  static constexpr std::size_t plain_blocks_max = 8'192;

  explicit tls_client(const tls_client_settings& settings = {});
  tls_client(tls_client&&) noexcept;
  tls_client& operator=(tls_client&&) noexcept;
  ~tls_client();

  void reload(const tls_client_settings& settings);

  const char* name() const noexcept { return "tls client"; }
  tls_stats stats() const noexcept;
  detail::tls_client_core& core() noexcept { return *core_; }

 private:
  std::unique_ptr<detail::tls_client_core> core_;
};

}  // namespace weir
