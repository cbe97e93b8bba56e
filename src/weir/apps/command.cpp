#include <weir/apps/command.hpp>

#include <weir/apps/table_text.hpp>
#include <weir/apps/terminal.hpp>
#include <weir/base/error.hpp>
#include <weir/base/text.hpp>
#include <weir/core/error_group.hpp>

#include <boost/json/parse.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <filesystem>
#include <memory>
#include <system_error>

namespace weir {

namespace {

exit_code code_of(errc code) noexcept {
  switch (code) {
    case errc::refused:
    case errc::broken:
    case errc::closed:
    case errc::end_of_stream:
    case errc::timed_out:
    case errc::malformed:
      return exit_code::unreachable;
    case errc::invalid_argument:
      return exit_code::usage;
    default:
      return exit_code::failed;
  }
}

exit_code tell(exit_code code, std::string_view text) noexcept {
  // Texts hold what strangers sent; a terminal must not obey it.
  if (text.empty()) return code;
  try {
    const std::string line =
        styled(text_style::bad, "weir:", STDERR_FILENO) + " " + printable(text);
    std::fputs((line + "\n").c_str(), stderr);
  } catch (...) {
    std::fputs("weir: out of memory\n", stderr);
  }
  return code;
}

exit_code tell(std::exception_ptr failure) noexcept {
  try {
    std::rethrow_exception(failure);
  } catch (const error_group& group) {
    return tell(group.first());
  } catch (const command_failure& what) {
    return tell(what.code, what.text);
  } catch (const exception& what) {
    return tell(code_of(what.reason().code()), describe(what.reason()));
  } catch (const std::exception& what) {
    return tell(exit_code::failed, what.what());
  } catch (...) {
    return tell(exit_code::failed, "an unknown failure");
  }
}

}  // namespace

exit_code run_command(const command_choice& choice) noexcept {
  try {
    return choice.run();
  } catch (...) {
    return tell(std::current_exception());
  }
}

exit_code refuse_command_line(std::string_view command, std::string_view unknown,
                              std::string_view meant, std::string_view why) {
  std::string text = command.empty() ? "a command is needed" : std::string(why);
  if (!unknown.empty()) {
    const bool is_option = unknown.front() == '-';
    text = fmt::format("there is no {} '{}'", is_option ? "option" : "command", unknown);
    if (!meant.empty()) text += fmt::format("; was '{}' meant?", meant);
  }
  if (command.empty()) return tell(exit_code::usage, text + " (see `weir --help`)");
  return tell(exit_code::usage, fmt::format("{1}: {0} (see `weir {1} --help`)", text, command));
}

void raise_problem(int status, std::string_view body) {
  boost::system::error_code failure;
  const boost::json::value problem = boost::json::parse(boost::json::string_view(body), failure);
  std::string text;
  if (!failure && problem.is_object()) {
    const auto* detail = problem.get_object().if_contains("detail");
    const auto* code = problem.get_object().if_contains("code");
    if (detail && detail->is_string() && code && code->is_string()) {
      text = fmt::format("{} ({})", std::string_view(detail->get_string()),
                         std::string_view(code->get_string()));
    }
  }
  if (text.empty()) text = fmt::format("the server answered with status {}", status);
  throw command_failure{exit_code::refused, text};
}

void print(std::string_view text) {
  const bool is_written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  if (!is_written || std::fflush(stdout) != 0) {
    throw command_failure{exit_code::failed,
                          fmt::format("standard output: {}", std::strerror(errno))};
  }
}

std::string read_file(const std::string& path, std::size_t bytes_max) {
  const auto refuse = [&](std::string_view why) {
    return command_failure{exit_code::usage, fmt::format("{}: {}", path, why)};
  };
  const auto close = [](std::FILE* file) {
    if (file != stdin) std::fclose(file);
  };
  const std::unique_ptr<std::FILE, decltype(close)> file(
      path == "-" ? stdin : std::fopen(path.c_str(), "rbe"), close);
  if (!file) throw refuse(std::strerror(errno));
  std::string text;
  std::array<char, 65'536> block;
  while (const std::size_t count = std::fread(block.data(), 1, block.size(), file.get())) {
    if (text.size() + count > bytes_max) {
      throw refuse(fmt::format("is over {}", format_bytes(bytes_max)));
    }
    text.append(block.data(), count);
  }
  if (std::ferror(file.get()) != 0) throw refuse(std::strerror(errno));
  return text;
}

void refuse_no_folder(const std::string& path) {
  std::error_code failure;
  const std::filesystem::file_status found = std::filesystem::status(path, failure);
  if (std::filesystem::is_directory(found)) return;
  std::string text = fmt::format("there is no folder '{}'", path);
  if (std::filesystem::exists(found)) text = fmt::format("'{}' is no folder", path);
  if (found.type() == std::filesystem::file_type::none) {
    text = fmt::format("'{}' can't be looked at ({})", path, failure.message());
  }
  throw command_failure{exit_code::usage, text};
}

}  // namespace weir
