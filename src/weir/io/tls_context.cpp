#include <weir/io/tls_context.hpp>

#include <weir/base/error.hpp>
#include <weir/io/internal/tls_core.hpp>
#include <weir/io/internal/tls_pem.hpp>
#include <weir/io/internal/tls_text.hpp>
#include <weir/io/internal/zero_byte.hpp>

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <exception>
#include <utility>

namespace weir {

namespace detail {

namespace {

/// RFC 6066: the first identity whose certificate is for the name that the client says.
int choose_identity(SSL* of, int*, void* with) noexcept {
  const char* name = SSL_get_servername(of, TLSEXT_NAMETYPE_host_name);
  if (!name) return SSL_TLSEXT_ERR_OK;
  for (const context_owner& one : static_cast<const tls_rules*>(with)->contexts) {
    if (X509_check_host(SSL_CTX_get0_certificate(one.get()), name, 0, 0, nullptr) != 1) continue;
    SSL_set_SSL_CTX(of, one.get());
    break;
  }
  ERR_clear_error();
  return SSL_TLSEXT_ERR_OK;
}

int choose_protocol(SSL*, const unsigned char** chosen, unsigned char* chosen_size,
                    const unsigned char* offered, unsigned int offered_size, void* with) noexcept {
  const std::string& ours = static_cast<const tls_rules*>(with)->protocols;
  unsigned char* one = nullptr;
  const int outcome =
      SSL_select_next_proto(&one, chosen_size, reinterpret_cast<const unsigned char*>(ours.data()),
                            static_cast<unsigned int>(ours.size()), offered, offered_size);
  if (outcome != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_ALERT_FATAL;
  *chosen = one;
  return SSL_TLSEXT_ERR_OK;
}

int verify_mode_of(tls_client_auth auth) noexcept {
  switch (auth) {
    case tls_client_auth::none:
      return SSL_VERIFY_NONE;
    case tls_client_auth::optional:
      return SSL_VERIFY_PEER;
    case tls_client_auth::required:
      return SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
  }
  return SSL_VERIFY_NONE;
}

/// Sessions made under other rules for clients are not resumed.
void set_session_context(SSL_CTX* in, const tls_server_settings& settings) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(settings.client_ca.data()),
         settings.client_ca.size(), digest);
  digest[0] = static_cast<unsigned char>(settings.client_auth);
  SSL_CTX_set_session_id_context(in, digest, sizeof digest);
}

std::shared_ptr<const tls_rules> make_rules(const tls_server_settings& settings) {
  const auto refuse = [](std::string_view text) { raise(error(errc::invalid_argument, text)); };
  if (settings.identities.empty()) refuse("a TLS server needs a certificate and its key");
  if (settings.identities.size() > tls_server::identities_max) {
    refuse("a TLS server has at most identities_max certificates");
  }
  const bool asks = settings.client_auth != tls_client_auth::none;
  if (asks && settings.client_ca.empty()) {
    refuse("certificates of clients can't be verified without a client CA file");
  }
  auto made = std::make_shared<tls_rules>();
  made->protocols = protocol_list(settings.protocols);
  made->verify_mode = verify_mode_of(settings.client_auth);
  made->handshake_timeout = settings.handshake_timeout;
  for (const tls_identity& who : settings.identities) {
    context_owner one = make_context(TLS_server_method());
    const std::int64_t not_after = use_identity(one.get(), who);
    if (made->contexts.empty()) made->not_after = not_after;
    if (asks) use_trust(one.get(), settings.client_ca, settings.client_ca_name, true);
    set_session_context(one.get(), settings);
    // Of each: asked is the one that the client's name has chosen.
    if (!made->protocols.empty())
      SSL_CTX_set_alpn_select_cb(one.get(), &choose_protocol, made.get());
    made->contexts.push_back(std::move(one));
  }
  SSL_CTX* first = made->contexts.front().get();
  SSL_CTX_set_tlsext_servername_callback(first, &choose_identity);
  SSL_CTX_set_tlsext_servername_arg(first, made.get());
  return made;
}

ssl_owner new_connection(const tls_rules& by, time_point wall_now) {
  ssl_owner made(SSL_new(by.contexts.front().get()));
  if (!made) throw std::bad_alloc();
  X509_VERIFY_PARAM_set_time(SSL_get0_param(made.get()), wall_now.ns / 1'000'000'000);
  SSL_set_verify(made.get(), by.verify_mode, &tls_engine::note_verification);
  return made;
}

}  // namespace

// ---- the accepting side ----

tls_server_core::tls_server_core(const tls_server_settings& settings)
    : rules_(make_rules(settings)) {}

void tls_server_core::reload(const tls_server_settings& settings) { rules_ = make_rules(settings); }

std::unique_ptr<tls_engine> tls_server_core::make_engine(time_point wall_now) {
  ssl_owner made = new_connection(*rules_, wall_now);
  SSL_set_accept_state(made.get());
  auto engine = std::make_unique<tls_engine>(std::move(made), memory_, std::string());
  engine->rules = rules_;
  return engine;
}

// ---- the connecting side ----

namespace {

std::shared_ptr<const tls_rules> make_rules(const tls_client_settings& settings,
                                            tls_client_core& core,
                                            int (*keep)(SSL*, SSL_SESSION*)) {
  auto made = std::make_shared<tls_rules>();
  made->protocols = protocol_list(settings.protocols);
  made->verify_mode = SSL_VERIFY_PEER;
  made->handshake_timeout = settings.handshake_timeout;
  context_owner one = make_context(TLS_client_method());
  if (settings.ca.empty()) {
    SSL_CTX_set_default_verify_paths(one.get());
  } else {
    use_trust(one.get(), settings.ca, settings.ca_name, false);
  }
  if (settings.identity.certificate.empty() && !settings.identity.key.empty()) {
    raise(error(errc::invalid_argument,
                fmt::format("{} has no certificate: a TLS client shows both or neither",
                            settings.identity.key_name)));
  }
  if (!settings.identity.certificate.empty()) {
    made->not_after = use_identity(one.get(), settings.identity);
  }
  SSL_CTX_set_session_cache_mode(one.get(), SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(one.get(), keep);
  SSL_CTX_set_app_data(one.get(), &core);
  made->contexts.push_back(std::move(one));
  return made;
}

}  // namespace

tls_client_core::tls_client_core(const tls_client_settings& settings)
    : rules_(make_rules(settings, *this, &keep_session)) {}

void tls_client_core::reload(const tls_client_settings& settings) {
  rules_ = make_rules(settings, *this, &keep_session);
  sessions_.clear();
}

std::unique_ptr<tls_engine> tls_client_core::make_engine(const std::string& host, std::string place,
                                                         time_point wall_now) {
  if (has_zero(host)) raise(zero_byte("TLS: the host name", host));  // OpenSSL would cut it there
  ssl_owner made = new_connection(*rules_, wall_now);
  SSL* one = made.get();
  SSL_set_connect_state(one);
  SSL_set_hostflags(one, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  const bool is_address = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(one), host.c_str()) == 1;
  // The dot at the end of a full name is for name servers (RFC 6066, 3).
  const std::string name =
      host.size() > 1 && host.ends_with('.') ? host.substr(0, host.size() - 1) : host;
  if (!is_address &&
      (SSL_set1_host(one, name.c_str()) != 1 || SSL_set_tlsext_host_name(one, name.c_str()) != 1)) {
    ERR_clear_error();
    raise(error(errc::invalid_argument, fmt::format("TLS: '{}' can't be a host name", host)));
  }
  ERR_clear_error();
  if (!rules_->protocols.empty()) {
    SSL_set_alpn_protos(one, reinterpret_cast<const unsigned char*>(rules_->protocols.data()),
                        static_cast<unsigned int>(rules_->protocols.size()));
  }
  // A session is offered once (RFC 8446, C.4): a second use would let others link the two. One of
  // TLS 1.2 comes back if it is taken: note_resumed().
  if (const auto kept = sessions_.find(place); kept != sessions_.end()) {
    SSL_set_session(one, kept->second.get());
    sessions_.erase(kept);
  }
  auto engine = std::make_unique<tls_engine>(std::move(made), memory_, host);
  engine->rules = rules_;
  engine->session_key = std::move(place);
  return engine;
}

int tls_client_core::keep_session(SSL* from, SSL_SESSION* one) noexcept {
  auto& self = *static_cast<tls_client_core*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(from)));
  const tls_engine& engine = tls_engine::of(from);
  if (engine.rules != self.rules_ || SSL_SESSION_is_resumable(one) != 1) return 0;
  try {
    const bool is_new = !self.sessions_.contains(engine.session_key);
    if (is_new && self.sessions_.size() >= tls_client::sessions_max) {
      self.sessions_.erase(self.sessions_.begin());
    }
    self.sessions_[engine.session_key].reset(one);
    return 1;  // it is ours now
  } catch (const std::exception&) {
    return 0;
  }
}

void tls_client_core::note_resumed(SSL* by) noexcept {
  if (SSL_is_server(by) == 1 || SSL_version(by) >= TLS1_3_VERSION) return;
  session_owner one(SSL_get1_session(by));
  if (keep_session(by, one.get()) == 1) static_cast<void>(one.release());
}

}  // namespace detail

tls_server::tls_server(const tls_server_settings& settings)
    : core_(std::make_unique<detail::tls_server_core>(settings)) {}
tls_server::tls_server(tls_server&&) noexcept = default;
tls_server& tls_server::operator=(tls_server&&) noexcept = default;
tls_server::~tls_server() = default;
void tls_server::reload(const tls_server_settings& settings) { core_->reload(settings); }
tls_stats tls_server::stats() const noexcept {
  tls_stats now = core_->stats;
  now.not_after = core_->rules().not_after;
  return now;
}

tls_client::tls_client(const tls_client_settings& settings)
    : core_(std::make_unique<detail::tls_client_core>(settings)) {}
tls_client::tls_client(tls_client&&) noexcept = default;
tls_client& tls_client::operator=(tls_client&&) noexcept = default;
tls_client::~tls_client() = default;
void tls_client::reload(const tls_client_settings& settings) { core_->reload(settings); }
tls_stats tls_client::stats() const noexcept {
  tls_stats now = core_->stats;
  now.not_after = core_->rules().not_after;
  return now;
}

}  // namespace weir
