#include <weir/serve/server_secrets.hpp>

#include <weir/io/tls_kit_test.hpp>
#include <weir/serve/server_life.hpp>

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace weir::server_secrets_test {
namespace {

using weir::testing::certificate_authority;
using weir::testing::pem_pair;

constexpr std::string_view bearer = "Bearer 0123456789abcdef";

server_config config_with_tls() {
  server_config config;
  config.tls_cert = "cert.pem";
  config.tls_key = "key.pem";
  config.tls_client_ca = "clients.pem";
  return config;
}

TEST(server_secrets, a_reload_takes_all_or_nothing) {
  const certificate_authority ca;
  const pem_pair first = ca.issue({.days_to = 10});
  const pem_pair second = ca.issue({.days_to = 20});
  const server_config config = config_with_tls();
  server_files files{
      .tokens = "0123456789abcdef", .tls_cert = first.certificate, .tls_key = first.key};
  auto secrets = server_secrets::load(config, files).value();
  const auto until = secrets->tls()->stats().not_after;
  EXPECT_TRUE(secrets->tokens()->admits(bearer));

  server_files wrong = files;
  wrong.tokens = "fedcba9876543210";
  wrong.tls_cert = second.certificate;  // without its key
  const result<void> refused = secrets->reload(config, wrong);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message().find("key.pem does not belong to cert.pem"),
            std::string_view::npos);
  EXPECT_TRUE(secrets->tokens()->admits(bearer)) << "nothing was taken";
  EXPECT_EQ(secrets->tls()->stats().not_after, until);

  wrong.tls_key = second.key;
  ASSERT_TRUE(secrets->reload(config, wrong));
  EXPECT_FALSE(secrets->tokens()->admits(bearer));
  EXPECT_GT(secrets->tls()->stats().not_after, until);
}

TEST(server_secrets, halves_are_refused) {
  const certificate_authority ca;
  const pem_pair own = ca.issue({});
  const server_config config = config_with_tls();
  EXPECT_FALSE(server_secrets::load(config, {.tls_cert = own.certificate}));
  EXPECT_FALSE(server_secrets::load(config, {.tls_key = own.key}));
  EXPECT_FALSE(server_secrets::load(config, {.tls_client_ca = ca.certificate()}));
  const auto plain = server_secrets::load(server_config(), {}).value();
  EXPECT_EQ(plain->tls(), nullptr);
  EXPECT_EQ(plain->calls(), nullptr);
  EXPECT_FALSE(plain->tokens());
}

TEST(server_secrets, certificates_of_clients_guard_an_address_as_tokens_do) {
  const certificate_authority ca;
  const pem_pair own = ca.issue({});
  server_config config = config_with_tls();
  config.listen = "0.0.0.0:1";
  const server_files files{.tls_cert = own.certificate, .tls_key = own.key};
  EXPECT_FALSE(check_setup(config, files));
  server_files guarded = files;
  guarded.tls_client_ca = ca.certificate();
  EXPECT_TRUE(check_setup(config, guarded));
}

TEST(server_secrets, who_may_be_called_depends_on_who_can_reach_the_server) {
  server_config config;
  const server_files files{.tokens = "0123456789abcdef"};
  const address inner = address::parse("10.0.0.1:80").value();
  const address outer = address::parse("8.8.8.8:80").value();
  EXPECT_EQ(check_setup(config, {})->callable.denying(inner), "");
  EXPECT_EQ(check_setup(config, files)->callable.denying(inner), "private")
      << "a proxy may bring callers of other machines, and they need a token";
  EXPECT_EQ(check_setup(config, files)->callable.denying(outer), "");
  config.listen = "0.0.0.0:1";
  EXPECT_EQ(check_setup(config, files)->callable.denying(inner), "private");
  EXPECT_EQ(check_setup(config, files)->callable.denying(outer), "");
  config.calls.allow = {"10.0.0.0/8"};
  EXPECT_EQ(check_setup(config, files)->callable.denying(inner), "");
  config.calls.deny = std::vector<std::string>{"10.0.0.0/40"};
  const result<server_setup> refused = check_setup(config, files);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message().find("'10.0.0.0/40' is no block"), std::string_view::npos);
}

}  // namespace
}  // namespace weir::server_secrets_test
