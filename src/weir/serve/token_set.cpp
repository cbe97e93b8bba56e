#include <weir/serve/token_set.hpp>

#include <weir/base/text.hpp>

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>

namespace weir {

namespace {

bool is_token_character(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("-._~+/=").find(c) != std::string_view::npos;
}

}  // namespace

token_set::digest token_set::digest_of(std::string_view token) noexcept {
  digest out;
  SHA256(reinterpret_cast<const unsigned char*>(token.data()), token.size(), out.data());
  return out;
}

result<token_set> token_set::parse(std::string_view file) {
  token_set set;
  std::size_t number = 0;
  while (!file.empty()) {
    ++number;
    const std::size_t end = std::min(file.find('\n'), file.size());
    const std::string_view line = trim(file.substr(0, end));
    file.remove_prefix(std::min(end + 1, file.size()));
    if (line.empty() || line.front() == '#') continue;
    if (line.size() < token_bytes_min || line.size() > token_bytes_max) {
      return fail(errc::invalid_argument,
                  fmt::format("line {} of the token file: a token has {} to {} characters", number,
                              token_bytes_min, token_bytes_max));
    }
    if (!std::ranges::all_of(line, is_token_character)) {
      return fail(errc::invalid_argument,
                  fmt::format("line {} of the token file: a token has only letters, digits and "
                              "-._~+/=",
                              number));
    }
    if (set.digests_.size() == tokens_max) {
      return fail(errc::invalid_argument,
                  fmt::format("the token file has more than {} tokens", tokens_max));
    }
    set.digests_.push_back(digest_of(line));
  }
  if (set.digests_.empty()) return fail(errc::invalid_argument, "the token file has no token");
  return set;
}

bool token_set::admits(std::optional<std::string_view> authorization) const noexcept {
  constexpr std::string_view scheme = "bearer ";
  if (!authorization || authorization->size() <= scheme.size() ||
      !equal_ignoring_case(authorization->substr(0, scheme.size()), scheme)) {
    return false;
  }
  const std::string_view token = trim(authorization->substr(scheme.size()));
  if (token.size() > token_bytes_max) return false;
  const digest given = digest_of(token);
  int is_one = 0;
  for (const digest& known : digests_) {
    is_one |= CRYPTO_memcmp(known.data(), given.data(), given.size()) == 0;
  }
  return is_one != 0;
}

}  // namespace weir
