// Why a handshake failed, in words that say what to do.
#pragma once

#include <weir/base/error.hpp>

#include <openssl/ssl.h>

#include <string>
#include <string_view>

namespace weir::detail {

/// "CN=example.org, O=Example".
std::string name_text(const X509_NAME* name);
/// What is wrong with a peer's certificate, told by the verification that goes on. `host` is what
/// was asked for; empty when the peer is a client.
std::string verify_text(X509_STORE_CTX* verification, std::string_view host);
/// The error behind a failed call of OpenSSL, from this thread's queue, which is emptied. `is_up`:
/// the handshake is over. `refusal` is what verify_text() said before, or empty.
error tls_failure(bool is_up, const std::string& refusal);
/// The newest reason in this thread's queue, which is emptied: "bad decrypt".
std::string openssl_reason();

}  // namespace weir::detail
