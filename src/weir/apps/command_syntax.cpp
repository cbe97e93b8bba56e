#include <weir/apps/command_syntax.hpp>

#include <weir/apps/command.hpp>
#include <weir/base/assert.hpp>
#include <weir/base/text.hpp>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace weir {

namespace {

constexpr std::size_t shown_max = 64;  // of a wrong value

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

/// Takes any text; `Out` is a string or an optional one.
template <class Out>
command_syntax::value_taker taker_into(Out& out) {
  return [&out](const std::string& text) {
    out = text;
    return std::string();
  };
}

/// "bench disk": the commands that the line names.
std::string chosen_command(const CLI::App& app) {
  std::string out;
  const CLI::App* at = &app;
  for (auto below = at->get_subcommands(); !below.empty(); below = at->get_subcommands()) {
    at = below.front();
    out += (out.empty() ? "" : " ") + at->get_name();
  }
  return out;
}

}  // namespace

option_syntax option_syntax::required() const {
  of_->required();
  return *this;
}

option_syntax option_syntax::called(const char* value_name) const {
  of_->type_name(value_name);
  return *this;
}

option_syntax option_syntax::or_environment(const char* variable) const {
  of_->envname(variable);
  return *this;
}

command_syntax command_syntax::subcommand(const std::string& name, const std::string& help) const {
  return command_syntax(of_->add_subcommand(name, help));
}

void command_syntax::needs_subcommand() const { of_->require_subcommand(1); }

void command_syntax::footer(const std::string& text) const { of_->footer(text); }

void command_syntax::when_chosen(std::function<void()> call) const {
  of_->callback(std::move(call));
}

option_syntax command_syntax::option(const std::string& name, value_taker take,
                                     const std::string& help) const {
  const auto take_or_raise = [name, take = std::move(take)](const std::string& text) {
    const std::string wrong = take(text);
    if (!wrong.empty()) throw CLI::ValidationError(name, wrong);
  };
  return option_syntax(of_->add_option_function<std::string>(name, take_or_raise, help));
}

option_syntax command_syntax::option(const std::string& name, std::string& out,
                                     const std::string& help) const {
  return option(name, taker_into(out), help);
}

option_syntax command_syntax::option(const std::string& name, std::optional<std::string>& out,
                                     const std::string& help) const {
  return option(name, taker_into(out), help);
}

option_syntax command_syntax::option(const std::string& name, std::vector<std::string>& out,
                                     const std::string& help) const {
  return option_syntax(of_->add_option(name, out, help));
}

option_syntax command_syntax::option(const std::string& name, duration& out,
                                     const std::string& help) const {
  const auto take = [&out](const std::string& text) {
    const result<duration> parsed = parse_duration(text);
    if (!parsed) return std::string(parsed.error().message());
    out = *parsed;
    return std::string();
  };
  return option(name, take, help).called("DURATION");
}

option_syntax command_syntax::number(const std::string& name,
                                     std::function<void(std::uint64_t)> put,
                                     const std::string& help, number_range range) const {
  const auto take = [put = std::move(put), range](const std::string& text) {
    const result<std::uint64_t> value = parse_number(text, range.max);
    if (!value || *value < range.min) {
      return fmt::format("'{}' is not a number from {} to {}", text.substr(0, shown_max), range.min,
                         range.max);
    }
    put(*value);
    return std::string();
  };
  // Bounds that a user can meet are part of the help.
  const bool is_bounded = range.max < UINT32_MAX;
  const std::string values =
      is_bounded ? fmt::format("{}..{}", range.min, range.max) : std::string("NUMBER");
  return option(name, take, help).called(values.c_str());
}

option_syntax command_syntax::option(const std::string& name, std::uint32_t& out,
                                     const std::string& help, number_range range) const {
  WEIR_ASSERT(range.max <= UINT32_MAX);
  const auto put = [&out](std::uint64_t value) { out = static_cast<std::uint32_t>(value); };
  return number(name, put, help, range);
}

option_syntax command_syntax::option(const std::string& name, std::uint64_t& out,
                                     const std::string& help, number_range range) const {
  return number(name, [&out](std::uint64_t value) { out = value; }, help, range);
}

option_syntax command_syntax::option(const std::string& name, std::optional<std::uint64_t>& out,
                                     const std::string& help, number_range range) const {
  return number(name, [&out](std::uint64_t value) { out = value; }, help, range);
}

void command_syntax::flag(const std::string& name, bool& out, const std::string& help) const {
  of_->add_flag(name, out, help);
}

void command_syntax::version_flag(const std::string& text) const {
  of_->set_version_flag("--version", text, "Print the version");
}

std::vector<completable> command_syntax::commands() const {
  std::vector<completable> out;
  for (const CLI::App* command : of_->get_subcommands({})) {
    completable one{command->get_name(), command->get_description(), {}};
    add_words(*command, one.options);
    out.push_back(std::move(one));
  }
  return out;
}

command_line::command_line(const std::string& help, const std::string& name)
    : app_(std::make_unique<CLI::App>(help, name)) {}

command_line::~command_line() = default;

std::optional<exit_code> command_line::parse(int argc, char** argv) {
  try {
    app_->parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {  // help was asked for, or the version
      return static_cast<exit_code>(app_->exit(error));
    }
    return refuse_command_line(chosen_command(*app_), argc, argv, error.what());
  }
  return std::nullopt;
}

}  // namespace weir
