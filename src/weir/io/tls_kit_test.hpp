// For tests only: a CA made on the spot, and certificates that it issues, right and wrong ones.
#pragma once

#include <weir/io/tls_context.hpp>

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace weir::testing {

/// A certificate and its key as PEM.
struct pem_pair {
  std::string certificate;
  std::string key;

  tls_identity identity() const {
    return {.certificate = certificate,
            .key = key,
            .certificate_name = "cert.pem",
            .key_name = "key.pem"};
  }
};

/// What a certificate says. Days count from now.
struct certificate_wish {
  std::string name = "weir.test";
  std::string alternatives = "DNS:weir.test";  // "DNS:a.example,IP:127.0.0.1"
  int days_from = -1;
  int days_to = 365;
  std::int64_t now = 0;  // seconds since 1970; 0: the real time
};

class certificate_authority {
 public:
  explicit certificate_authority(std::string_view name = "weir test CA", std::int64_t now = 0)
      : key_(EVP_EC_gen("P-256")), own_(X509_new()) {
    fill(own_.get(), key_.get(), {.name = std::string(name), .alternatives = {}, .now = now});
    X509_set_issuer_name(own_.get(), X509_get_subject_name(own_.get()));
    extend(own_.get(), NID_basic_constraints, "critical,CA:TRUE");
    extend(own_.get(), NID_key_usage, "critical,keyCertSign,cRLSign");
    X509_sign(own_.get(), key_.get(), EVP_sha256());
  }

  std::string certificate() const { return pem_of(own_.get()); }

  pem_pair issue(const certificate_wish& wish) const {
    const key_owner key(EVP_EC_gen("P-256"));
    const owner made(X509_new());
    fill(made.get(), key.get(), wish);
    X509_set_issuer_name(made.get(), X509_get_subject_name(own_.get()));
    if (!wish.alternatives.empty()) {
      extend(made.get(), NID_subject_alt_name, wish.alternatives.c_str());
    }
    X509_sign(made.get(), key_.get(), EVP_sha256());
    return {pem_of(made.get()), pem_of(key.get())};
  }

 private:
  struct closer {
    void operator()(X509* one) const noexcept { X509_free(one); }
    void operator()(EVP_PKEY* one) const noexcept { EVP_PKEY_free(one); }
    void operator()(BIO* one) const noexcept { BIO_free(one); }
  };
  using owner = std::unique_ptr<X509, closer>;
  using key_owner = std::unique_ptr<EVP_PKEY, closer>;
  using text_owner = std::unique_ptr<BIO, closer>;

  static void extend(X509* one, int what, const char* value) {
    X509_EXTENSION* made = X509V3_EXT_conf_nid(nullptr, nullptr, what, value);
    X509_add_ext(one, made, -1);
    X509_EXTENSION_free(made);
  }

  static void fill(X509* one, EVP_PKEY* key, const certificate_wish& wish) {
    static std::int64_t serial = 1;
    X509_set_version(one, 2);
    ASN1_INTEGER_set_int64(X509_get_serialNumber(one), serial++);
    const std::int64_t now = wish.now != 0 ? wish.now : static_cast<std::int64_t>(::time(nullptr));
    ASN1_TIME_set(X509_getm_notBefore(one), now + wish.days_from * 86'400LL);
    ASN1_TIME_set(X509_getm_notAfter(one), now + wish.days_to * 86'400LL);
    X509_set_pubkey(one, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(one), "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(wish.name.c_str()), -1, -1,
                               0);
  }

  static std::string text_in(BIO* from) {
    char* data = nullptr;
    const long size = BIO_get_mem_data(from, &data);
    return std::string(data, static_cast<std::size_t>(size));
  }
  static std::string pem_of(X509* one) {
    const text_owner out(BIO_new(BIO_s_mem()));
    PEM_write_bio_X509(out.get(), one);
    return text_in(out.get());
  }
  static std::string pem_of(EVP_PKEY* one) {
    const text_owner out(BIO_new(BIO_s_mem()));
    PEM_write_bio_PrivateKey(out.get(), one, nullptr, nullptr, 0, nullptr, nullptr);
    return text_in(out.get());
  }

  key_owner key_;
  owner own_;
};

}  // namespace weir::testing
