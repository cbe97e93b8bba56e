// OpenSSL 3 has one way to draw from elsewhere that takes no provider of one's own: the method of
// before, which it calls deprecated.
#define OPENSSL_SUPPRESS_DEPRECATED

#include <weir/drill/drill_trust.hpp>

#include <weir/base/error.hpp>
#include <weir/base/hash.hpp>
#include <weir/sim/virtual_clock.hpp>

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <cstddef>

namespace weir::drill {

namespace {

// OpenSSL's method has no context, so the place in the row is the process's.
constinit std::uint64_t random_row = 0;

int draw(unsigned char* into, int count) {
  for (int i = 0; i < count; ++i) into[i] = static_cast<unsigned char>(mix(++random_row));
  return 1;
}
int is_ready() { return 1; }

constexpr RAND_METHOD tame_method{.seed = nullptr,
                                  .bytes = &draw,
                                  .cleanup = nullptr,
                                  .add = nullptr,
                                  .pseudorand = &draw,
                                  .status = &is_ready};

struct closer {
  void operator()(X509* one) const noexcept { X509_free(one); }
  void operator()(EVP_PKEY* one) const noexcept { EVP_PKEY_free(one); }
  void operator()(BIO* one) const noexcept { BIO_free(one); }
  void operator()(X509_EXTENSION* one) const noexcept { X509_EXTENSION_free(one); }
};
using certificate_owner = std::unique_ptr<X509, closer>;
using key_owner = std::unique_ptr<EVP_PKEY, closer>;
using text_owner = std::unique_ptr<BIO, closer>;

template <class T>
T* made(T* one) {
  if (!one) raise(error(errc::internal, "OpenSSL can't make a certificate for the drill"));
  return one;
}

key_owner make_key() { return key_owner(made(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"))); }

void extend(X509* one, int what, const char* value) {
  const std::unique_ptr<X509_EXTENSION, closer> extension(
      made(X509V3_EXT_conf_nid(nullptr, nullptr, what, value)));
  X509_add_ext(one, extension.get(), -1);
}

certificate_owner make_certificate(const std::string& name, std::int64_t serial, EVP_PKEY* key) {
  constexpr std::int64_t ten_years = 10 * 365 * std::int64_t{86'400};
  constexpr std::int64_t now = virtual_clock::wall_start.ns / 1'000'000'000;
  certificate_owner one(made(X509_new()));
  X509_set_version(one.get(), 2);
  ASN1_INTEGER_set_int64(X509_get_serialNumber(one.get()), serial);
  ASN1_TIME_set(X509_getm_notBefore(one.get()), now - ten_years);
  ASN1_TIME_set(X509_getm_notAfter(one.get()), now + ten_years);
  X509_set_pubkey(one.get(), key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(one.get()), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  return one;
}

std::string text_in(BIO* from) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(from, &data);
  return std::string(data, static_cast<std::size_t>(size));
}
std::string pem_of(X509* one) {
  const text_owner out(made(BIO_new(BIO_s_mem())));
  PEM_write_bio_X509(out.get(), one);
  return text_in(out.get());
}
std::string pem_of(EVP_PKEY* one) {
  const text_owner out(made(BIO_new(BIO_s_mem())));
  PEM_write_bio_PrivateKey(out.get(), one, nullptr, nullptr, 0, nullptr, nullptr);
  return text_in(out.get());
}

}  // namespace

tame_openssl::tame_openssl() noexcept : before_(RAND_get_rand_method()) {
  random_row = 0;
  RAND_set_rand_method(&tame_method);
}

tame_openssl::~tame_openssl() { RAND_set_rand_method(static_cast<const RAND_METHOD*>(before_)); }

struct drill_trust::issuer {
  key_owner key = make_key();
  certificate_owner own = make_certificate("weir drill", 1, key.get());
};

drill_trust::drill_trust() : issuer_(std::make_unique<issuer>()) {
  X509* const own = issuer_->own.get();
  X509_set_issuer_name(own, X509_get_subject_name(own));
  extend(own, NID_basic_constraints, "critical,CA:TRUE");
  extend(own, NID_key_usage, "critical,keyCertSign,cRLSign");
  X509_sign(own, issuer_->key.get(), nullptr);  // Ed25519 has its digest in itself
  authority_ = pem_of(own);
}
drill_trust::~drill_trust() = default;

server_pair drill_trust::issue(std::string_view address, std::uint32_t number) const {
  const key_owner key = make_key();
  const certificate_owner one =
      make_certificate(fmt::format("weir {}", number), std::int64_t{1} + number, key.get());
  X509_set_issuer_name(one.get(), X509_get_subject_name(issuer_->own.get()));
  extend(one.get(), NID_subject_alt_name, fmt::format("IP:{}", address).c_str());
  X509_sign(one.get(), issuer_->key.get(), nullptr);
  return {.certificate = pem_of(one.get()), .key = pem_of(key.get())};
}

std::string drill_trust::name_of(std::uint32_t number) {
  return fmt::format("CN = weir {}", number);
}

}  // namespace weir::drill
