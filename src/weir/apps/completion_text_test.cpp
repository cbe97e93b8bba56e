#include <weir/apps/completion_text.hpp>

#include <gtest/gtest.h>

namespace weir::completion_text_test {
namespace {

const std::vector<completable> commands{{"send", "Submit a message", {"--key", "--now"}, {"--key"}},
                                        {"wait", "Wait: it's slow", {"--timeout"}, {"--timeout"}},
                                        {"serve", "Serve", {"--data"}, {"--data"}},
                                        {"check", "Check", {"--json"}, {}, true},
                                        {"sim", "Simulate", {"serve", "--help"}, {}},
                                        {"sim serve", "Simulate it", {"--seed"}, {"--seed"}}};

bool has(const std::string& text, std::string_view part) { return text.contains(part); }

TEST(completion_text, bash_completes_commands_and_their_options) {
  const std::string text = completion_text(shell::bash, commands);
  EXPECT_TRUE(has(text, "compgen -W 'send wait serve check sim --help --version'")) << text;
  EXPECT_TRUE(has(text, "'send '*) words='--key --now' valued='--key' ;;"));
  EXPECT_TRUE(has(text, "'check '*) words='--json' valued='' files='yes' ;;"));
  EXPECT_TRUE(has(text, "complete -o default -F _weir weir"));
}

TEST(completion_text, a_command_below_another_is_looked_for_first) {
  for (const shell of : {shell::bash, shell::zsh}) {
    const std::string text = completion_text(of, commands);
    EXPECT_LT(text.find("'sim serve '*)"), text.find("'sim '*)"));
  }
}

TEST(completion_text, zsh_shows_the_help_of_commands) {
  const std::string text = completion_text(shell::zsh, commands);
  EXPECT_TRUE(text.starts_with("#compdef weir\n"));
  EXPECT_TRUE(has(text, "'wait:Wait: it'\\''s slow'"));
  EXPECT_TRUE(has(text, "'send '*) compadd -- --key --now ;;"));
  EXPECT_FALSE(has(text, "'sim serve:"));
}

TEST(completion_text, zsh_offers_the_words_of_a_command_where_it_takes_no_files) {
  const std::string text = completion_text(shell::zsh, commands);
  EXPECT_TRUE(has(text, "'sim '*) compadd -- serve ;;")) << text;
  EXPECT_TRUE(has(text, "'send '*) _files ;;"));
}

TEST(completion_text, fish_has_one_line_an_option_of_the_command_that_is_meant) {
  const std::string text = completion_text(shell::fish, commands);
  EXPECT_TRUE(has(text, "-a send -d 'Submit a message'\n"));
  EXPECT_TRUE(has(text, "'__weir_begins wait' -l timeout -r\n"));
  EXPECT_TRUE(has(text, "'__weir_begins send' -l now\n"));
  EXPECT_TRUE(has(text, "'__weir_begins serve' -l data -r\n"));
  EXPECT_TRUE(has(text, "'__weir_begins sim; and not __weir_begins sim serve' -l help\n")) << text;
  EXPECT_TRUE(has(text, "'__weir_begins sim serve' -l seed -r\n"));
}

}  // namespace
}  // namespace weir::completion_text_test
