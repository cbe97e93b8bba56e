#include <weir/serve/server_secrets.hpp>

#include <weir/base/defect.hpp>

#include <fmt/format.h>

#include <array>
#include <string_view>
#include <utility>

namespace weir {

namespace {

constexpr std::array<std::string_view, 1> protocols{"http/1.1"};

result<std::optional<token_set>> tokens_of(const server_files& files) {
  if (!files.tokens) return std::optional<token_set>();
  result<token_set> tokens = token_set::parse(*files.tokens);
  if (!tokens) return fail(std::move(tokens.error()));
  return std::optional<token_set>(std::move(*tokens));
}

tls_identity identity_of(const server_config& config, const server_files& files) {
  return {.certificate = *files.tls_cert,
          .key = *files.tls_key,
          .certificate_name = config.tls_cert,
          .key_name = config.tls_key};
}

tls_server_settings server_settings(const server_config& config, const server_files& files,
                                    const tls_identity& who) {
  tls_server_settings settings{.identities = {&who, 1}, .protocols = protocols};
  if (files.tls_client_ca) {
    settings.client_ca = *files.tls_client_ca;
    settings.client_ca_name = config.tls_client_ca;
    settings.client_auth = tls_client_auth::required;
  }
  return settings;
}

tls_client_settings client_settings(const server_config& config, const server_files& files) {
  return {.ca = *files.calls_ca, .ca_name = config.calls.ca, .protocols = protocols};
}

}  // namespace

result<std::shared_ptr<server_secrets>> server_secrets::load(const server_config& config,
                                                             const server_files& files) {
  if (files.tls_cert.has_value() != files.tls_key.has_value()) {
    return fail(errc::invalid_argument,
                "TLS needs both: the certificate (--tls-cert) and its key (--tls-key)");
  }
  if (files.tls_client_ca && !files.tls_cert) {
    return fail(
        errc::invalid_argument,
        "certificates of clients (--tls-client-ca) need TLS: give --tls-cert and --tls-key");
  }
  auto made = std::make_shared<server_secrets>();
  result<std::optional<token_set>> tokens = tokens_of(files);
  if (!tokens) return fail(std::move(tokens.error()));
  made->tokens_ = std::move(*tokens);
  made->verifies_clients_ = files.tls_client_ca.has_value();
  try {
    if (files.tls_cert) {
      const tls_identity who = identity_of(config, files);
      made->tls_.emplace(server_settings(config, files, who));
    }
    if (files.calls_ca) made->calls_.emplace(client_settings(config, files));
  } catch (const exception& wrong) {
    return fail(wrong.reason());
  }
  return made;
}

result<void> server_secrets::reload(const server_config& config, const server_files& files) {
  result<std::shared_ptr<server_secrets>> checked = load(config, files);
  if (!checked) return fail(std::move(checked.error()));
  tokens_ = std::move((*checked)->tokens_);
  if (tls_ && !is_planted("serve: keeps its old certificate at a reload")) {
    const tls_identity who = identity_of(config, files);
    tls_->reload(server_settings(config, files, who));
  }
  if (calls_) calls_->reload(client_settings(config, files));
  return {};
}

}  // namespace weir
