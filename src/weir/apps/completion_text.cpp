#include <weir/apps/completion_text.hpp>

#include <fmt/format.h>

namespace weir {

namespace {

std::string names_of(const std::vector<completable>& commands) {
  std::vector<std::string_view> names;
  for (const completable& one : commands) names.push_back(one.name);
  return fmt::format("{}", fmt::join(names, " "));
}

/// In single quotes for any shell here.
std::string quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') {
      out += "'\\''";
    } else {
      out += c;
    }
  }
  return out + "'";
}

std::string bash_text(const std::vector<completable>& commands) {
  std::string cases;
  for (const completable& one : commands) {
    cases += fmt::format("    {}) words='{}' ;;\n", one.name, fmt::join(one.options, " "));
  }
  return fmt::format(R"(_weir() {{
  local word="${{COMP_WORDS[COMP_CWORD]}}" words=''
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '{} --help' -- "$word"))
    return
  fi
  case "${{COMP_WORDS[1]}}" in
{}  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}}
complete -o default -F _weir weir
)",
                     names_of(commands), cases);
}

std::string zsh_text(const std::vector<completable>& commands) {
  std::string names;
  std::string cases;
  std::string words;  // of commands that take words of their own instead of files
  for (const completable& one : commands) {
    names += fmt::format("    {}\n", quoted(one.name + ":" + one.help));
    cases += fmt::format("    {}) compadd -- {} ;;\n", one.name, fmt::join(one.options, " "));
    std::vector<std::string_view> plain;
    for (const std::string& option : one.options) {
      if (!option.starts_with("--")) plain.push_back(option);
    }
    if (plain.empty()) continue;
    words += fmt::format("      {}) compadd -- {} ;;\n", one.name, fmt::join(plain, " "));
  }
  return fmt::format(R"(#compdef weir
_weir() {{
  local -a commands
  commands=(
{}  )
  if (( CURRENT == 2 )); then
    _describe 'command' commands
    return
  fi
  if [[ "$PREFIX" != -* ]]; then
    case "$words[2]" in
{}      *) _files ;;
    esac
    return
  fi
  case "$words[2]" in
{}  esac
}}
compdef _weir weir
)",
                     names, words, cases);
}

std::string fish_text(const std::vector<completable>& commands) {
  std::string out = "complete -c weir -e\n";
  for (const completable& one : commands) {
    out += fmt::format("complete -c weir -f -n __fish_use_subcommand -a {} -d {}\n", one.name,
                       quoted(one.help));
    for (const std::string& option : one.options) {
      if (!option.starts_with("--")) {
        out += fmt::format("complete -c weir -f -n '__fish_seen_subcommand_from {}' -a {}\n",
                           one.name, option);
        continue;
      }
      out += fmt::format("complete -c weir -n '__fish_seen_subcommand_from {}' -l {}\n", one.name,
                         option.substr(2));
    }
  }
  return out;
}

}  // namespace

std::string completion_text(shell of, const std::vector<completable>& commands) {
  switch (of) {
    case shell::bash:
      return bash_text(commands);
    case shell::zsh:
      return zsh_text(commands);
    case shell::fish:
      return fish_text(commands);
  }
  return {};
}

}  // namespace weir
