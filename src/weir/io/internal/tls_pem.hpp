// PEM texts to certificates, keys and trust; each failure names the text and says what to do.
#pragma once

#include <weir/io/internal/tls_core.hpp>
#include <weir/io/tls_context.hpp>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace weir::detail {

/// A context with our minimum: TLS 1.2, no renegotiation, little memory for idle connections.
context_owner make_context(const SSL_METHOD* method);
/// Certificate, chain and key. Gives when the certificate expires, in seconds since 1970.
std::int64_t use_identity(SSL_CTX* in, const tls_identity& who);
/// The certificates in `pem` are trusted; with `to_clients`, clients are told their names as well.
void use_trust(SSL_CTX* in, std::string_view pem, std::string_view name, bool to_clients);
/// Names of protocols as ALPN writes them, one length byte before each.
std::string protocol_list(std::span<const std::string_view> names);

}  // namespace weir::detail
