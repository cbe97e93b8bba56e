#include <weir/apps/command_syntax.hpp>

#include <weir/apps/command.hpp>
#include <weir/base/assert.hpp>
#include <weir/base/text.hpp>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <sstream>
#include <utility>

namespace weir {

namespace {

constexpr std::size_t shown_max = 64;  // of a wrong value

/// The command and those below it.
void add_completable(const CLI::App& command, const std::string& above,
                     std::vector<completable>& out) {
  completable one{above + command.get_name(), command.get_description(), {}, {}, false};
  for (const CLI::App* below : command.get_subcommands({})) one.words.push_back(below->get_name());
  for (const CLI::Option* option : command.get_options()) {
    const std::string place = option->get_name(true);
    one.takes_files = one.takes_files || place == "file" || place == "folder";
    for (const std::string& name : option->get_lnames()) {
      one.words.push_back("--" + name);
      if (option->get_items_expected_max() != 0) one.valued.push_back("--" + name);
    }
  }
  out.push_back(std::move(one));
  for (const CLI::App* below : command.get_subcommands({}))
    add_completable(*below, command.get_name() + " ", out);
}

/// Takes any text; `Out` is a string or an optional one.
template <class Out>
command_syntax::value_taker taker_into(Out& out) {
  return [&out](const std::string& text) {
    if (text.empty()) return std::string("its value is empty");  // an unset variable of a script
    out = text;
    return std::string();
  };
}

/// How many letters must be changed, added or left out to make one of the other.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t changed = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, changed}));
    }
  }
  return row.back();
}

bool has_command(const CLI::App& app, std::string_view name) {
  return std::ranges::any_of(app.get_subcommands({}),
                             [name](const CLI::App* one) { return one->get_name() == name; });
}

/// The command that may have been meant; empty when none is near.
std::string nearest_command(const CLI::App& app, std::string_view word) {
  constexpr std::size_t near = 2;
  std::string best;
  std::size_t least = std::min(near, word.size() / 2) + 1;
  for (const CLI::App* one : app.get_subcommands({})) {
    const std::size_t far = word.size() > shown_max ? least : distance(word, one->get_name());
    if (far < least) {
      least = far;
      best = one->get_name();
    }
  }
  return best;
}

/// The first word that looks like an option and is none of the command's; empty without one.
std::string unknown_option(const CLI::App& command) {
  for (const std::string& word : command.remaining()) {
    if (word.size() > 1 && word.starts_with('-')) return word.substr(0, shown_max);
  }
  return {};
}

/// The commands that a line names, as far as they are known.
struct chosen_command {
  const CLI::App* last;
  std::string names;      // "bench disk"
  std::size_t words = 0;  // so many of the line
};

chosen_command chosen(const CLI::App& app) {
  chosen_command out{.last = &app, .names = {}};
  for (auto below = app.get_subcommands(); !below.empty(); below = out.last->get_subcommands()) {
    out.last = below.front();
    out.names += (out.names.empty() ? "" : " ") + out.last->get_name();
    ++out.words;
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
                                     const std::string& help, duration min) const {
  const auto take = [&out, min](const std::string& text) {
    const result<duration> parsed = parse_duration(text);
    if (!parsed) return std::string(parsed.error().message());
    if (*parsed < min) return "must be at least " + format_duration(min);
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
  for (const CLI::App* command : of_->get_subcommands({})) add_completable(*command, "", out);
  return out;
}

command_line::command_line(const std::string& help, const std::string& name)
    : app_(std::make_unique<CLI::App>(help, name)) {}

command_line::~command_line() = default;

std::optional<exit_code> command_line::parse(int argc, char** argv) {
  std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
  if (!words.empty() && words.front() == "help") {  // help COMMAND: COMMAND --help
    words.erase(words.begin());
    const bool is_known = words.empty() || has_command(*app_, words.front());
    if (is_known) words.emplace_back("--help");
  }
  try {
    app_->parse(
        std::vector<std::string>(words.rbegin(), words.rend()));  // as the parser takes them
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {  // help was asked for, or the version
      std::ostringstream text;
      app_->exit(error, text, text);
      return run_command({.run = [&] {
        print(text.str());
        return exit_code::ok;
      }});
    }
    const chosen_command known = chosen(*app_);
    const bool is_group = !known.last->get_subcommands({}).empty();
    std::string next = is_group && known.words < words.size() ? words[known.words] : "";
    // A misspelt option is told before what is missing, which it may have been meant for.
    const bool is_open = dynamic_cast<const CLI::RequiredError*>(&error) != nullptr ||
                         dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr;
    if (is_open && next.empty()) next = unknown_option(*known.last);
    return refuse_command_line(known.names, next, nearest_command(*known.last, next), error.what());
  }
  return std::nullopt;
}

}  // namespace weir
