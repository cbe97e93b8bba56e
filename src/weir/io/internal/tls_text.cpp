#include <weir/io/internal/tls_text.hpp>

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <cstdint>
#include <memory>

namespace weir::detail {

namespace {

struct bio_closer {
  void operator()(BIO* one) const noexcept { BIO_free(one); }
};
using memory_bio = std::unique_ptr<BIO, bio_closer>;

std::string text_in(BIO* from) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(from, &data);
  return size > 0 ? std::string(data, static_cast<std::size_t>(size)) : std::string();
}

std::string time_text(const ASN1_TIME* when) {
  const memory_bio out(BIO_new(BIO_s_mem()));
  ASN1_TIME_print(out.get(), when);
  return text_in(out.get());
}

/// "'a.example', 'b.example'": whom a certificate is for, some of them when there are many.
std::string hosts_text(X509* certificate) {
  constexpr int shown_max = 8;
  std::string out;
  auto* names = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  const int count = names ? sk_GENERAL_NAME_num(names) : 0;
  int shown = 0;
  for (int i = 0; i < count && shown < shown_max; ++i) {
    int kind = 0;
    const auto* value = static_cast<const ASN1_STRING*>(
        GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &kind));
    if (kind != GEN_DNS && kind != GEN_IPADD) continue;
    std::string text(reinterpret_cast<const char*>(ASN1_STRING_get0_data(value)),
                     static_cast<std::size_t>(ASN1_STRING_length(value)));
    if (kind == GEN_IPADD && text.size() == 4) {
      const auto part = [&](std::size_t at) { return static_cast<std::uint8_t>(text[at]); };
      text = fmt::format("{}.{}.{}.{}", part(0), part(1), part(2), part(3));
    } else if (kind == GEN_IPADD) {
      text = "an IPv6 address";
    }
    if (shown++ != 0) out += ", ";
    out += fmt::format("'{}'", text);
  }
  GENERAL_NAMES_free(names);
  if (out.empty()) return name_text(X509_get_subject_name(certificate));
  return count > shown ? out + " ..." : out;
}

}  // namespace

std::string name_text(const X509_NAME* name) {
  const memory_bio out(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(out.get(), name, 0, XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB);
  return text_in(out.get());
}

std::string verify_text(X509_STORE_CTX* verification, std::string_view host) {
  X509* certificate = X509_STORE_CTX_get_current_cert(verification);
  const int code = X509_STORE_CTX_get_error(verification);
  if (!certificate) return X509_verify_cert_error_string(code);
  const std::string subject = name_text(X509_get_subject_name(certificate));
  switch (code) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return fmt::format(
          "the certificate of {} has expired on {}: the peer must renew it (or this "
          "machine's clock is wrong)",
          subject, time_text(X509_get0_notAfter(certificate)));
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return fmt::format(
          "the certificate of {} is valid only from {}: set this machine's clock, or wait", subject,
          time_text(X509_get0_notBefore(certificate)));
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return fmt::format(
          "the certificate is for {}, not for '{}': call the peer by a name of its "
          "certificate, or give it one for this name",
          hosts_text(certificate), host);
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
      return fmt::format(
          "the certificate of {} is signed by itself and not trusted here: add it to "
          "the CA file if it is the right one",
          subject);
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
      return fmt::format(
          "the certificate of {} was issued by {}, which is not trusted here: add the "
          "certificate of that CA to the CA file, or have the peer send its whole chain",
          subject, name_text(X509_get_issuer_name(certificate)));
    default:
      return fmt::format("the certificate of {} is not accepted: {}", subject,
                         X509_verify_cert_error_string(code));
  }
}

std::string openssl_reason() {
  const unsigned long code = ERR_peek_last_error();
  const char* text = ERR_reason_error_string(code);
  std::string out = text ? text : code != 0 ? fmt::format("error {:x}", code) : "unknown";
  ERR_clear_error();
  return out;
}

error tls_failure(bool is_up, const std::string& refusal) {
  // The first error is the reason; what follows is how the library left.
  const unsigned long code = ERR_peek_error();
  const int reason = ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_GET_REASON(code) : 0;
  const char* known = ERR_reason_error_string(code);
  const std::string text = known ? known : "no reason given";
  ERR_clear_error();
  if (!refusal.empty()) return {errc::permission_denied, "TLS: " + refusal};
  switch (reason) {
    case SSL_R_UNEXPECTED_EOF_WHILE_READING:
      return {errc::broken, is_up ? "TLS: the stream was cut off: it ended without a close_notify"
                                  : "TLS: the peer closed the connection inside the handshake"};
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
      return {errc::malformed, "TLS: the peer speaks plain HTTP: use https here"};
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_UNKNOWN_PROTOCOL:
      return {errc::malformed, "TLS: the peer does not speak TLS: is this the right port?"};
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
      return {errc::permission_denied,
              "TLS: the client showed no certificate, and this server requires one"};
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_NO_APPLICATION_PROTOCOL:
      return {errc::unsupported, fmt::format("TLS: nothing that both sides know: {}", text)};
    default:
      break;
  }
  if (reason >= SSL_AD_REASON_OFFSET) {
    return {errc::refused, fmt::format("TLS: the peer refused: {}", text)};
  }
  return {errc::malformed, fmt::format("TLS: {}", text)};
}

}  // namespace weir::detail
