#include <weir/apps/completion_text.hpp>

#include <gtest/gtest.h>

namespace weir {
namespace {

const std::vector<completable> commands{{"send", "Submit a message", {"--key", "--ttl"}},
                                        {"wait", "Wait: it's slow", {"--timeout"}}};

TEST(completion_text, bash_completes_commands_and_their_options) {
  const std::string text = completion_text(shell::bash, commands);
  EXPECT_NE(text.find("compgen -W 'send wait --help'"), text.npos);
  EXPECT_NE(text.find("send) words='--key --ttl' ;;"), text.npos);
  EXPECT_NE(text.find("complete -o default -F _weir weir"), text.npos);
}

TEST(completion_text, zsh_shows_the_help_of_commands) {
  const std::string text = completion_text(shell::zsh, commands);
  EXPECT_TRUE(text.starts_with("#compdef weir\n"));
  EXPECT_NE(text.find("'wait:Wait: it'\\''s slow'"), text.npos);
  EXPECT_NE(text.find("send) compadd -- --key --ttl ;;"), text.npos);
}

TEST(completion_text, zsh_offers_the_words_of_a_command_where_it_takes_no_files) {
  const std::vector<completable> some{{"completion", "Print it", {"zsh", "fish", "--help"}},
                                      {"send", "Submit", {"--key"}}};
  const std::string text = completion_text(shell::zsh, some);
  EXPECT_NE(text.find("    case \"$words[2]\" in\n      completion) compadd -- zsh fish ;;\n"
                      "      *) _files ;;\n"),
            text.npos)
      << text;
}

TEST(completion_text, fish_has_one_line_an_option) {
  const std::string text = completion_text(shell::fish, commands);
  EXPECT_NE(text.find("-a send -d 'Submit a message'\n"), text.npos);
  EXPECT_NE(text.find("'__fish_seen_subcommand_from wait' -l timeout\n"), text.npos);
}

}  // namespace
}  // namespace weir
