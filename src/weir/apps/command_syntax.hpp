// What a command says of its command line: options with their types, bounds and help. The hard
// idea: the parser behind it (CLI11) is one large header, so only command_syntax.cpp sees it; that
// takes a minute off each build.
#pragma once

#include <weir/apps/completion_text.hpp>
#include <weir/base/time.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace weir {

enum class exit_code : int;

/// One option or positional argument of a command, as it was added; a handle, which lives as long
/// as its command_line.
class option_syntax {
 public:
  explicit option_syntax(CLI::Option* of) noexcept : of_(of) {}
  option_syntax required() const;
  /// What `--help` calls the value: "FILE".
  option_syntax called(const char* value_name) const;
  /// Where the value comes from when the option is not given.
  option_syntax or_environment(const char* variable) const;

 private:
  CLI::Option* of_;
};

/// The numbers that an option takes.
struct number_range {
  std::uint64_t min = 0;
  std::uint64_t max = UINT64_MAX;
};

/// A command, or the program that has commands; a handle, which lives as long as its command_line.
///
/// Errors: a value of the wrong type or outside of its bounds is refused while the line is parsed,
///         with words that say what is taken.
/// Source: CLI11.
class command_syntax {
 public:
  /// Takes the text of a value; returns what is wrong with it, or nothing.
  using value_taker = std::function<std::string(const std::string& text)>;

  explicit command_syntax(CLI::App* of) noexcept : of_(of) {}

  command_syntax subcommand(const std::string& name, const std::string& help) const;
  /// One of the subcommands has to be given.
  void needs_subcommand() const;
  /// What `--help` says last.
  void footer(const std::string& text) const;
  /// Called when the whole line is right and asks for this command.
  void when_chosen(std::function<void()> call) const;

  // A name without dashes is that of a positional argument. `out` keeps its value when the option
  // is not given, and lives until the line is parsed.
  option_syntax option(const std::string& name, value_taker take, const std::string& help) const;
  option_syntax option(const std::string& name, std::string& out, const std::string& help) const;
  option_syntax option(const std::string& name, std::optional<std::string>& out,
                       const std::string& help) const;
  /// As often as it is given.
  option_syntax option(const std::string& name, std::vector<std::string>& out,
                       const std::string& help) const;
  /// Takes "30s", "1h30m" ...
  option_syntax option(const std::string& name, duration& out, const std::string& help,
                       duration min = duration(0)) const;
  option_syntax option(const std::string& name, std::uint32_t& out, const std::string& help,
                       number_range range = {0, UINT32_MAX}) const;
  option_syntax option(const std::string& name, std::uint64_t& out, const std::string& help,
                       number_range range = {}) const;
  option_syntax option(const std::string& name, std::optional<std::uint64_t>& out,
                       const std::string& help, number_range range = {}) const;
  void flag(const std::string& name, bool& out, const std::string& help) const;
  void version_flag(const std::string& text) const;

  /// The commands with their options, for completion.
  std::vector<completable> commands() const;

 private:
  option_syntax number(const std::string& name, std::function<void(std::uint64_t)> put,
                       const std::string& help, number_range range) const;

  CLI::App* of_;
};

/// The command line of a program.
class command_line {
 public:
  command_line(const std::string& help, const std::string& name);
  command_line(const command_line&) = delete;
  command_line& operator=(const command_line&) = delete;
  ~command_line();

  command_syntax top() const noexcept { return command_syntax(app_.get()); }

  /// Calls what was chosen. Otherwise all is told (help, or what is wrong) and the program ends
  /// with the code that is returned.
  std::optional<exit_code> parse(int argc, char** argv);

 private:
  std::unique_ptr<CLI::App> app_;
};

}  // namespace weir
