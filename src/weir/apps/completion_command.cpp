// weir completion bash|zsh|fish
#include <weir/apps/command.hpp>
#include <weir/apps/completion_text.hpp>

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace weir {

namespace {

constexpr const char* completion_name = "completion";

std::vector<completable> commands_of(const command_syntax& app) {
  std::vector<completable> out = app.commands();
  for (completable& one : out) {
    if (one.name == completion_name) {
      one.words.insert(one.words.end(), {"bash", "zsh", "fish"});
    }
  }
  // `weir help COMMAND` takes the words that lead to a command.
  std::vector<completable> helps{{"help", "Show what a command is for", {}, {}}};
  for (const completable& one : out) {
    const std::size_t space = one.name.find(' ');
    if (space == std::string::npos) {
      helps.front().words.push_back(one.name);
      continue;
    }
    const std::string above = "help " + one.name.substr(0, space);
    if (helps.back().name != above) helps.push_back({above, "", {}, {}});
    helps.back().words.push_back(one.name.substr(space + 1));
  }
  out.insert(out.end(), helps.begin(), helps.end());
  return out;
}

}  // namespace

void add_completion_command(command_syntax app, command_choice& choice) {
  const command_syntax command =
      app.subcommand(completion_name, "Print a completion script for a shell");
  command.footer(
      "Examples:\n  eval \"$(weir completion bash)\"       # in ~/.bashrc\n"
      "  eval \"$(weir completion zsh)\"        # in ~/.zshrc\n"
      "  weir completion fish | source         # in ~/.config/fish/config.fish");
  const auto chosen = std::make_shared<shell>(shell::bash);
  const auto take = [chosen](const std::string& name) {
    static const std::map<std::string, shell> shells{
        {"bash", shell::bash}, {"zsh", shell::zsh}, {"fish", shell::fish}};
    const auto known = shells.find(name);
    if (known == shells.end()) {
      return "there is no completion for '" + name + "'; write bash, zsh or fish";
    }
    *chosen = known->second;
    return std::string();
  };
  command.option("shell", take, "bash, zsh or fish").required();
  command.when_chosen([app, &choice, chosen] {
    choice.run = [app, chosen] {
      print(completion_text(*chosen, commands_of(app)));
      return exit_code::ok;
    };
  });
}

}  // namespace weir
