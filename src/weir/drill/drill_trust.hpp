// Who trusts whom in a drill: an authority, the certificates that it issues to the server, and a
// source of random bytes for OpenSSL. The hard idea: a run is repeated by its seed, and what
// OpenSSL draws decides sizes (a number with leading zeros is a byte shorter, and with it a
// ticket), so in a run with TLS it draws from a fixed row. Keys of Ed25519, since its signatures
// have one size.
#pragma once

#include <weir/base/time.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace weir::drill {

/// As long as one lives, OpenSSL's random bytes in this process are no secret: the same row, from
/// its beginning. For simulations; keys that are made meanwhile are worth nothing.
///
/// Cancel:  no waits.
/// Order:   the last one made is the first to go.
/// Bound:   none.
/// Errors:  none.
/// Threads: one.
class tame_openssl {
 public:
  tame_openssl() noexcept;
  tame_openssl(const tame_openssl&) = delete;
  tame_openssl& operator=(const tame_openssl&) = delete;
  ~tame_openssl();

 private:
  const void* before_;
};

/// A certificate and its key as PEM.
struct server_pair {
  std::string certificate;
  std::string key;
};

/// The authority of one run.
///
/// Cancel:  no waits.
/// Order:   none.
/// Bound:   none.
/// Errors:  `internal` where OpenSSL can't make a key.
/// Threads: one.
class drill_trust {
 public:
  drill_trust();
  ~drill_trust();

  /// Whom clients trust, as PEM.
  const std::string& authority() const noexcept { return authority_; }
  /// For the machine at the address. Valid for years, before and after: wall clocks are set here.
  server_pair issue(std::string_view address, std::uint32_t number) const;
  /// What such a certificate says of its owner: "CN = weir 3".
  static std::string name_of(std::uint32_t number);

 private:
  struct issuer;

  tame_openssl tame_;
  std::unique_ptr<issuer> issuer_;
  std::string authority_;
};

}  // namespace weir::drill
