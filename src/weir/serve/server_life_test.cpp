#include <weir/serve/server_life.hpp>

#include <weir/serve/served_test.hpp>

namespace weir::server_life_test {
namespace {

using namespace weir::testing;

TEST(server_life, the_greeting_says_where_and_gives_three_commands) {
  const server_config config = config_in("/d");
  const result<server_setup> open = check_setup(config);
  const result<server_setup> closed = check_setup(config, {.tokens = "0123456789abcdef"});
  ASSERT_TRUE(open && closed);
  const address at = *address::parse("127.0.0.1:8420");
  EXPECT_EQ(greeting(*open, at, "io_uring"),
            "weir 0.1.0 listening on http://127.0.0.1:8420 (io_uring), data in /d\n"
            "Try:\n"
            "  curl -X PUT http://127.0.0.1:8420/v1/queues/mails\n"
            "  curl -d 'Dear Ada' http://127.0.0.1:8420/v1/queues/mails/messages\n"
            "  curl -X POST 'http://127.0.0.1:8420/v1/queues/mails/leases?wait=5s'\n");
  EXPECT_NE(greeting(*closed, at, "epoll").find("  curl -H 'Authorization: Bearer TOKEN' -X PUT "),
            std::string::npos);
}

TEST(server_life, the_greeting_keeps_a_line_a_line_whatever_the_folder_is_called) {
  const result<server_setup> open = check_setup(config_in("/d\n\x1b[2Jweir"));
  ASSERT_TRUE(open);
  const std::string text = greeting(*open, *address::parse("127.0.0.1:8420"), "epoll");
  EXPECT_TRUE(text.contains("data in /d\\n\\x1b[2Jweir\nTry:\n")) << text;
}

}  // namespace
}  // namespace weir::server_life_test
