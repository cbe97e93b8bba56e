// The two kinds of TLS ends with OpenSSL's part: a generation of settings each, replaced as a
// whole.
#pragma once

#include <weir/io/internal/tls_engine.hpp>
#include <weir/io/receive_arena.hpp>
#include <weir/io/tls_context.hpp>

#include <openssl/ssl.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace weir::detail {

struct context_closer {
  void operator()(SSL_CTX* one) const noexcept { SSL_CTX_free(one); }
};
using context_owner = std::unique_ptr<SSL_CTX, context_closer>;

struct session_closer {
  void operator()(SSL_SESSION* one) const noexcept { SSL_SESSION_free(one); }
};
using session_owner = std::unique_ptr<SSL_SESSION, session_closer>;

/// What one handshake goes by.
struct tls_rules {
  std::vector<context_owner> contexts;  // the first is the one for unknown names
  std::string protocols;                // as ALPN writes them
  int verify_mode = 0;
  duration handshake_timeout;
  std::int64_t not_after = 0;
};

class tls_server_core {
 public:
  explicit tls_server_core(const tls_server_settings& settings);
  void reload(const tls_server_settings& settings);
  std::unique_ptr<tls_engine> make_engine(time_point wall_now);
  const tls_rules& rules() const noexcept { return *rules_; }
  tls_stats stats;

 private:
  std::shared_ptr<const tls_rules> rules_;
  receive_arena memory_{tls_server::plain_blocks_max};
};

class tls_client_core {
 public:
  explicit tls_client_core(const tls_client_settings& settings);
  void reload(const tls_client_settings& settings);
  /// `place` is host and port: sessions are resumed at the same place only.
  std::unique_ptr<tls_engine> make_engine(const std::string& host, std::string place,
                                          time_point wall_now);
  /// The handshake by which a session was resumed is over: with TLS 1.2, which brings no other, it
  /// is there for the next connection again.
  static void note_resumed(SSL* by) noexcept;
  const tls_rules& rules() const noexcept { return *rules_; }
  tls_stats stats;

 private:
  static int keep_session(SSL* from, SSL_SESSION* one) noexcept;

  std::shared_ptr<const tls_rules> rules_;
  std::map<std::string, session_owner, std::less<>> sessions_;
  receive_arena memory_{tls_client::plain_blocks_max};
};

}  // namespace weir::detail
