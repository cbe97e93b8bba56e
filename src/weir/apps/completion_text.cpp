#include <weir/apps/completion_text.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <ranges>
#include <string_view>

namespace weir {

namespace {

/// What may follow the program's own name, besides commands.
constexpr std::string_view words_of_all = "--help --version";

bool is_below(const completable& one) { return one.name.contains(' '); }
bool is_option(std::string_view word) { return word.starts_with('-'); }

std::string names_of(const std::vector<completable>& commands) {
  std::vector<std::string_view> names;
  for (const completable& one : commands) {
    if (!is_below(one)) names.push_back(one.name);
  }
  return fmt::format("{}", fmt::join(names, " "));
}

std::vector<std::string_view> plain_words(const completable& command) {
  std::vector<std::string_view> out;
  for (const std::string& word : command.words) {
    if (!is_option(word)) out.push_back(word);
  }
  return out;
}

/// In single quotes for any shell here.
std::string shell_word(std::string_view text) {
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

/// `line` for each command, those below others first: the first pattern that fits is taken.
template <class Line>
std::string cases_of(const std::vector<completable>& commands, Line line) {
  std::string out;
  for (const completable& one : commands | std::views::reverse) {
    out += fmt::format("    {}*) {} ;;\n", shell_word(one.name + " "), line(one));
  }
  return out;
}

std::string bash_text(const std::vector<completable>& commands) {
  const std::string cases = cases_of(commands, [](const completable& one) {
    return fmt::format("words='{}' valued='{}'{}", fmt::join(one.words, " "),
                       fmt::join(one.valued, " "), one.takes_files ? " files='yes'" : "");
  });
  return fmt::format(R"(_weir() {{
  local word="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}" words='' valued=''
  local files=''
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '{} {}' -- "$word"))
    return
  fi
  case "${{COMP_WORDS[*]:1:COMP_CWORD-1}} " in
{}  esac
  case " $valued " in
    *" $before "*) COMPREPLY=(); return ;;
  esac
  case "$files$word" in
    yes-*) ;;
    yes*) COMPREPLY=(); return ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}}
complete -o default -F _weir weir
)",
                     names_of(commands), words_of_all, cases);
}

std::string zsh_text(const std::vector<completable>& commands) {
  std::string names;
  for (const completable& one : commands) {
    if (!is_below(one)) names += fmt::format("    {}\n", shell_word(one.name + ":" + one.help));
  }
  const std::string plain = cases_of(commands, [](const completable& one) {
    const std::vector<std::string_view> words = plain_words(one);
    return words.empty() ? std::string("_files")
                         : fmt::format("compadd -- {}", fmt::join(words, " "));
  });
  const std::string cases = cases_of(commands, [](const completable& one) {
    return fmt::format("compadd -- {}", fmt::join(one.words, " "));
  });
  return fmt::format(R"(#compdef weir
_weir() {{
  local -a commands
  commands=(
{}  )
  if (( CURRENT == 2 )); then
    _describe 'command' commands
    [[ "$PREFIX" == -* ]] && compadd -- {}
    return
  fi
  local line="${{(j: :)words[2,CURRENT-1]}} "
  if [[ "$PREFIX" != -* ]]; then
    case "$line" in
{}    esac
    return
  fi
  case "$line" in
{}  esac
}}
(( $+functions[compdef] )) || {{ autoload -Uz compinit && compinit }}
compdef _weir weir
)",
                     names, words_of_all, plain, cases);
}

/// When a command is the one that the line names, and none below it: what follows the program's
/// name begins with it.
std::string fish_condition(const completable& one, const std::vector<completable>& all) {
  constexpr std::string_view begins = "__weir_begins";
  std::string out = fmt::format("{} {}", begins, one.name);
  for (const completable& other : all) {
    if (other.name.starts_with(one.name + " ")) {
      out += fmt::format("; and not {} {}", begins, other.name);
    }
  }
  return out;
}

std::string fish_text(const std::vector<completable>& commands) {
  std::string out = R"(function __weir_begins
  set -l words (commandline -opc)[2..-1]
  set -l length (count $argv)
  test "$words[1..$length]" = "$argv"
end
complete -c weir -e
complete -c weir -f -n __fish_use_subcommand -l help
complete -c weir -f -n __fish_use_subcommand -l version
)";
  for (const completable& one : commands) {
    if (!is_below(one)) {
      out += fmt::format("complete -c weir -f -n __fish_use_subcommand -a {} -d {}\n", one.name,
                         shell_word(one.help));
    }
    const std::string when = fish_condition(one, commands);
    for (const std::string& word : one.words) {
      if (!is_option(word)) {
        out += fmt::format("complete -c weir -f -n '{}' -a {}\n", when, word);
        continue;
      }
      const bool has_value = std::ranges::find(one.valued, word) != one.valued.end();
      out += fmt::format("complete -c weir -n '{}' -l {}{}\n", when, word.substr(2),
                         has_value ? " -r" : "");
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
