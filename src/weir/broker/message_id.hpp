// The names of messages and leases as users see them. A name is a number that we count up, so it
// costs no memory, and a tag made from it with a secret key, so nobody can guess the name of
// another's message: checking a name is computing its tag again.
#pragma once

#include <weir/base/hash.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace weir {

/// One lease of one message. `lease` counts the message's leases since it was submitted and never
/// goes back, so a receipt fits one lease only.
struct receipt {
  std::uint64_t sequence = 0;
  std::uint32_t lease = 0;

  bool operator==(const receipt&) const = default;
};

/// Turns sequence numbers into ids and receipts and back.
///
/// Cancel:  plain value, no waits.
/// Order:   ids sort as text in the order in which their messages were submitted.
/// Bound:   an id has 26 characters, a receipt 32, of a-z and 2-7.
/// Errors:  text that we did not make gives nothing; so does text made with another secret.
/// Threads: immutable; may be used from any thread.
class id_codec {
 public:
  /// The secret belongs to the data folder: with another one, old ids are no longer known.
  explicit id_codec(hash_key secret) noexcept : secret_(secret) {}

  std::string id_text(std::uint64_t sequence) const;
  std::string receipt_text(receipt lease) const;
  std::optional<std::uint64_t> parse_id(std::string_view text) const noexcept;
  std::optional<receipt> parse_receipt(std::string_view text) const noexcept;

 private:
  hash_key secret_;
};

}  // namespace weir
