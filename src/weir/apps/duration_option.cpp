#include <weir/apps/duration_option.hpp>

#include <weir/base/text.hpp>

#include <CLI/CLI.hpp>

namespace weir {

CLI::Option* add_duration_option(CLI::App& command, const std::string& name, duration& out,
                                 const std::string& help) {
  const auto take = [&out, name](const std::string& text) {
    const result<duration> parsed = parse_duration(text);
    if (!parsed) throw CLI::ValidationError(name, std::string(parsed.error().message()));
    out = *parsed;
  };
  return command.add_option_function<std::string>(name, take, help)->type_name("DURATION");
}

}  // namespace weir
