// Completion scripts for shells, made from the commands and options that the parser knows.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace weir {

/// One command with the words that may follow it.
struct completable {
  std::string name;
  std::string help;
  std::vector<std::string> options;  // "--max"
};

enum class shell : unsigned char { bash, zsh, fish };

/// The script, to be sourced or saved where the shell looks for completions.
std::string completion_text(shell of, const std::vector<completable>& commands);

}  // namespace weir
