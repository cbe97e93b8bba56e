// The secrets that let a client in. A token file has one token a line; several at once let a secret
// be changed without an interruption. The hard idea: how long a comparison takes must not tell how
// much of a guess was right, so digests of one length are compared, all of them, whatever matches.
#pragma once

#include <weir/base/result.hpp>

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace weir {

/// The tokens of one server.
///
/// Cancel:  plain value, no waits.
/// Order:   none.
/// Bound:   `tokens_max` tokens.
/// Errors:  parse() refuses with `invalid_argument` and the number of the line.
/// Threads: immutable; may be used from any thread.
class token_set {
 public:
  static constexpr std::size_t tokens_max = 64;
  static constexpr std::size_t token_bytes_min = 16;
  static constexpr std::size_t token_bytes_max = 512;

  /// Lines of token characters (RFC 6750, 2.1); empty lines and lines that begin with # are left
  /// out. At least one token is needed.
  static result<token_set> parse(std::string_view file);

  /// True when the value of an Authorization field is "Bearer " and one of the tokens.
  bool admits(std::optional<std::string_view> authorization) const noexcept;
  std::size_t size() const noexcept { return digests_.size(); }

 private:
  using digest = std::array<unsigned char, 32>;
  static digest digest_of(std::string_view token) noexcept;

  std::vector<digest> digests_;
};

}  // namespace weir
