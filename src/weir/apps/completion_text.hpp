// Completion scripts for shells, made from the commands and options that the parser knows.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace weir {

/// One command with the words that may follow it. Those that have commands of their own come before
/// them.
struct completable {
  std::string name;  // "sim serve"
  std::string help;
  std::vector<std::string> words;   // "--max", and names of commands below it
  std::vector<std::string> valued;  // which of them take a value
  bool takes_files = false;         // as a word that is no option
};

enum class shell : unsigned char { bash, zsh, fish };

/// The script, to be sourced or saved where the shell looks for completions.
std::string completion_text(shell of, const std::vector<completable>& commands);

}  // namespace weir
