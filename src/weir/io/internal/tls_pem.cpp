#include <weir/io/internal/tls_pem.hpp>

#include <weir/base/error.hpp>
#include <weir/io/internal/tls_text.hpp>

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <ctime>
#include <memory>

namespace weir::detail {

namespace {

struct x509_closer {
  void operator()(X509* one) const noexcept { X509_free(one); }
};
struct key_closer {
  void operator()(EVP_PKEY* one) const noexcept { EVP_PKEY_free(one); }
};
struct text_closer {
  void operator()(BIO* one) const noexcept { BIO_free(one); }
};
using certificate_owner = std::unique_ptr<X509, x509_closer>;
using key_owner = std::unique_ptr<EVP_PKEY, key_closer>;
using text_reader = std::unique_ptr<BIO, text_closer>;

text_reader reader_of(std::string_view pem) {
  // Of no text at all a reader of nothing: OpenSSL takes null for a mistake.
  text_reader made(BIO_new_mem_buf(pem.empty() ? "" : pem.data(), static_cast<int>(pem.size())));
  if (!made) throw std::bad_alloc();
  return made;
}

[[noreturn]] void refuse(std::string text) {
  ERR_clear_error();
  raise(error(errc::invalid_argument, text));
}

/// No password is known, and nobody is there to ask on a terminal.
int no_password(char*, int, int, void*) { return 0; }

/// The next certificate of a text; null at its end.
certificate_owner next_certificate(BIO* from, std::string_view name) {
  certificate_owner one(PEM_read_bio_X509(from, nullptr, &no_password, nullptr));
  if (one) return one;
  const unsigned long code = ERR_peek_last_error();
  if (ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE) {
    ERR_clear_error();
    return nullptr;
  }
  refuse(fmt::format("{} holds a damaged certificate: {}", name, openssl_reason()));
}

std::int64_t seconds_of(const ASN1_TIME* when) {
  struct tm parts = {};
  return ASN1_TIME_to_tm(when, &parts) == 1 ? static_cast<std::int64_t>(::timegm(&parts)) : 0;
}

key_owner read_key(const tls_identity& who) {
  key_owner key(PEM_read_bio_PrivateKey(reader_of(who.key).get(), nullptr, &no_password, nullptr));
  if (key) return key;
  if (who.key.find("ENCRYPTED") != who.key.npos) {
    refuse(
        fmt::format("{} is locked by a password: unlock it with `openssl pkey -in FILE -out FILE`",
                    who.key_name));
  }
  refuse(fmt::format("{} holds no private key in PEM form: {}", who.key_name, openssl_reason()));
}

}  // namespace

context_owner make_context(const SSL_METHOD* method) {
  context_owner made(SSL_CTX_new(method));
  if (!made) refuse(fmt::format("OpenSSL can't be used: {}", openssl_reason()));
  SSL_CTX* one = made.get();
  SSL_CTX_set_min_proto_version(one, TLS1_2_VERSION);
  SSL_CTX_set_options(one, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                               SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  SSL_CTX_set_mode(one, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_cache_mode(one, SSL_SESS_CACHE_OFF);  // a server's sessions are in tickets
  return made;
}

std::int64_t use_identity(SSL_CTX* in, const tls_identity& who) {
  const text_reader from = reader_of(who.certificate);
  const certificate_owner leaf = next_certificate(from.get(), who.certificate_name);
  if (!leaf) {
    refuse(fmt::format("{} holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)",
                       who.certificate_name));
  }
  if (SSL_CTX_use_certificate(in, leaf.get()) != 1) {
    refuse(fmt::format("{} can't be used: {}", who.certificate_name, openssl_reason()));
  }
  while (const certificate_owner link = next_certificate(from.get(), who.certificate_name)) {
    if (SSL_CTX_add1_chain_cert(in, link.get()) != 1) {
      refuse(
          fmt::format("{}: its chain can't be used: {}", who.certificate_name, openssl_reason()));
    }
  }
  const key_owner key = read_key(who);
  if (SSL_CTX_use_PrivateKey(in, key.get()) != 1 || SSL_CTX_check_private_key(in) != 1) {
    refuse(fmt::format("{} does not belong to {}: {}", who.key_name, who.certificate_name,
                       openssl_reason()));
  }
  return seconds_of(X509_get0_notAfter(leaf.get()));
}

void use_trust(SSL_CTX* in, std::string_view pem, std::string_view name, bool to_clients) {
  const text_reader from = reader_of(pem);
  X509_STORE* store = SSL_CTX_get_cert_store(in);
  std::size_t count = 0;
  while (const certificate_owner one = next_certificate(from.get(), name)) {
    if (X509_STORE_add_cert(store, one.get()) != 1 ||
        (to_clients && SSL_CTX_add_client_CA(in, one.get()) != 1)) {
      refuse(fmt::format("{}: a certificate can't be used: {}", name, openssl_reason()));
    }
    ++count;
  }
  if (count == 0) {
    refuse(fmt::format("{} holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)", name));
  }
}

std::string protocol_list(std::span<const std::string_view> names) {
  constexpr std::size_t name_bytes_max = 255;
  constexpr std::size_t list_bytes_max = 32 * 1024;  // a greeting has 64 KiB for all that it says
  std::string out;
  for (const std::string_view name : names) {
    if (name.empty() || name.size() > name_bytes_max) {
      refuse(fmt::format("a protocol name has 1 to {} bytes, not {}", name_bytes_max, name.size()));
    }
    out += static_cast<char>(name.size());
    out += name;
    if (out.size() > list_bytes_max) {
      refuse(fmt::format("the protocol names have more than {} bytes together", list_bytes_max));
    }
  }
  return out;
}

}  // namespace weir::detail
