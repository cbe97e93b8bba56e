// weir completion bash|zsh|fish
#include <weir/apps/command.hpp>
#include <weir/apps/completion_text.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <map>
#include <memory>
#include <utility>

namespace weir {

namespace {

/// The options of a command, and the names and options of what is below it.
void add_words(const CLI::App& command, std::vector<std::string>& words) {
  const auto add = [&words](std::string word) {
    if (std::ranges::find(words, word) == words.end()) words.push_back(std::move(word));
  };
  for (const CLI::App* below : command.get_subcommands({})) {
    add(below->get_name());
    add_words(*below, words);
  }
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) add("--" + name);
  }
}

std::vector<completable> commands_of(const CLI::App& app) {
  std::vector<completable> out;
  for (const CLI::App* command : app.get_subcommands({})) {
    completable one{command->get_name(), command->get_description(), {}};
    add_words(*command, one.options);
    if (one.name == "completion") one.options.insert(one.options.end(), {"bash", "zsh", "fish"});
    out.push_back(std::move(one));
  }
  return out;
}

}  // namespace

void add_completion_command(CLI::App& app, command_choice& choice) {
  CLI::App* command = app.add_subcommand("completion", "Print a completion script for a shell");
  command->footer("Example:\n  eval \"$(weir completion bash)\"");
  const auto chosen = std::make_shared<shell>(shell::bash);
  static const std::map<std::string, shell> shells{
      {"bash", shell::bash}, {"zsh", shell::zsh}, {"fish", shell::fish}};
  // Not CLI11's transformers: their refusal lists the numbers of an enum.
  command
      ->add_option_function<std::string>(
          "shell",
          [chosen](const std::string& name) {
            const auto known = shells.find(name);
            if (known == shells.end()) {
              throw CLI::ValidationError(
                  "shell", "there is no completion for '" + name + "'; write bash, zsh or fish");
            }
            *chosen = known->second;
          },
          "bash, zsh or fish")
      ->required();
  command->callback([&app, &choice, chosen] {
    choice.run = [&app, chosen] {
      print(completion_text(*chosen, commands_of(app)));
      return exit_code::ok;
    };
  });
}

}  // namespace weir
