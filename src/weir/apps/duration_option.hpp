// Options that take a duration: "30s", "5m".
#pragma once

#include <weir/base/time.hpp>

#include <string>
#include <string_view>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace weir {

/// Adds an option that refuses what parse_duration() refuses, with its words.
CLI::Option* add_duration_option(CLI::App& command, const std::string& name, duration& out,
                                 const std::string& help);

}  // namespace weir
