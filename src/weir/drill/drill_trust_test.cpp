#define OPENSSL_SUPPRESS_DEPRECATED

#include <weir/drill/drill_trust.hpp>

#include <gtest/gtest.h>
#include <openssl/rand.h>

#include <array>
#include <string>

namespace weir::drill::drill_trust_test {
namespace {

std::array<unsigned char, 32> drawn() {
  std::array<unsigned char, 32> out{};
  EXPECT_EQ(RAND_bytes(out.data(), static_cast<int>(out.size())), 1);
  return out;
}

TEST(DrillTrust, makes_the_same_certificates_in_each_run) {
  const auto issued = [] {
    const drill_trust one;
    const server_pair pair = one.issue("10.0.0.1", 3);
    return one.authority() + pair.certificate + pair.key;
  };
  const std::string first = issued();
  EXPECT_EQ(issued(), first);
  EXPECT_NE(first.find("BEGIN PRIVATE KEY"), std::string::npos);
}

// What a drill knows beforehand must not be what a program after it takes for a secret.
TEST(DrillTrust, gives_openssl_its_own_random_bytes_back) {
  std::array<unsigned char, 32> tame{};
  {
    const tame_openssl while_it_lasts;
    tame = drawn();
  }
  {
    const tame_openssl while_it_lasts;
    EXPECT_EQ(drawn(), tame);
    EXPECT_NE(RAND_get_rand_method(), RAND_OpenSSL());
  }
  EXPECT_EQ(RAND_get_rand_method(), RAND_OpenSSL());
  EXPECT_NE(drawn(), tame);
}

}  // namespace
}  // namespace weir::drill::drill_trust_test
