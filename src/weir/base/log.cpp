#include <weir/base/log.hpp>

#include <weir/base/escaped.hpp>
#include <weir/base/program_here.hpp>

#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <new>
#include <utility>

namespace weir::log {

namespace {
constexpr std::string_view level_names[] = {"trace", "debug", "info", "warn", "error", "off"};

spdlog::level::level_enum to_spdlog(level severity) {
  switch (severity) {
    case level::trace:
      return spdlog::level::trace;
    case level::debug:
      return spdlog::level::debug;
    case level::info:
      return spdlog::level::info;
    case level::warn:
      return spdlog::level::warn;
    case level::error:
      return spdlog::level::err;
    case level::off:
      return spdlog::level::off;
  }
  return spdlog::level::off;
}

struct output {
  std::atomic<level> lowest{level::info};
  std::mutex replacement_lock;
  sink replacement;
  std::atomic<bool> is_replaced{false};
  std::atomic<detail::speaker_fields> speaker{nullptr};

  output() noexcept {
    const weir::detail::world_runs of_the_process;  // as its variables are
    if (const char* wanted = std::getenv("WEIR_LOG")) lowest = parse_level(wanted, level::info);
  }
};

// Made at the first use and never destroyed: destructors of other objects may still log. It takes
// no memory: whoever only asks whether to log need not have any.
output& the_output() noexcept {
  alignas(output) static std::byte memory[sizeof(output)];
  static output* const made = new (memory) output;
  return *made;
}

// The same, but without memory it is made at the next line.
spdlog::logger& standard_error() {
  static spdlog::logger* const made = [] {
    // A logger outside spdlog's registry: a program that uses spdlog itself keeps its own names.
    auto one =
        std::make_unique<spdlog::logger>("weir", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    one->set_level(spdlog::level::trace);
    one->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %v", spdlog::pattern_time_type::utc);
    one->flush_on(spdlog::level::trace);
    return one.release();
  }();
  return *made;
}

bool is_plain(std::string_view text) {
  if (text.empty()) return false;
  for (char c : text) {
    if (c <= ' ' || c > '~' || c == '"' || c == '=' || c == '\\') return false;
  }
  return true;
}

using line = fmt::basic_memory_buffer<char, 512>;

void append(line& out, std::string_view text) {
  out.append(text.data(), text.data() + text.size());
}

void append_value(line& out, const field& f) {
  switch (f.type) {
    case field::kind::text:
      if (is_plain(f.text)) return append(out, f.text);
      out.push_back('"');
      append_escaped(out, f.text.substr(0, detail::line_bytes_max), true);
      return out.push_back('"');
    case field::kind::integer:
      return append(out, fmt::format_int(f.integer).c_str());
    case field::kind::natural:
      return append(out, fmt::format_int(f.natural).c_str());
    case field::kind::real:
      fmt::format_to(std::back_inserter(out), "{}", f.real);
      return;
    case field::kind::boolean:
      return append(out, f.natural ? "true" : "false");
  }
}

void append_field(line& out, const field& f) {
  out.push_back(' ');
  append(out, f.key);
  out.push_back('=');
  append_value(out, f);
}

struct line_fields final : detail::field_taker {
  line& out;
  explicit line_fields(line& to) noexcept : out(to) {}
  void take(const field& one) override { append_field(out, one); }
};
}  // namespace

void detail::set_speaker_fields(speaker_fields of) noexcept {
  std::atomic<speaker_fields>& speaker = the_output().speaker;
  if (speaker.load(std::memory_order_relaxed) != of) speaker = of;  // asked for each request
}

void write(level severity, std::string_view text, fields about) noexcept {
  if (!is_on(severity)) return;
  try {
    line out;
    append_escaped(out, text.substr(0, detail::line_bytes_max), false);
    output& to = the_output();
    for (const field& f : about) append_field(out, f);
    if (const detail::speaker_fields speaker = to.speaker.load(std::memory_order_acquire)) {
      line_fields fields(out);
      speaker(fields);
    }
    if (out.size() > detail::line_bytes_max) {
      out.resize(detail::line_bytes_max - 3);
      append(out, "...");
    }
    const std::string_view whole(out.data(), out.size());
    if (to.is_replaced.load(std::memory_order_acquire)) {
      const std::lock_guard hold(to.replacement_lock);
      if (to.replacement.write)
        return to.replacement.write(to.replacement.context, severity, whole);
    }
    // Beside what is simulated: the times are real, and the log's own memory is the process's.
    const weir::detail::world_runs of_the_process;
    standard_error().log(to_spdlog(severity), spdlog::string_view_t(whole.data(), whole.size()));
  } catch (...) {  // NOLINT(bugprone-empty-catch): the contract; there is nowhere left to tell it
  }
}

bool is_on(level severity) noexcept {
  return severity != level::off && severity >= the_output().lowest.load(std::memory_order_relaxed);
}

void set_level(level lowest) noexcept { the_output().lowest = lowest; }

level parse_level(std::string_view name, level otherwise) noexcept {
  for (std::size_t at = 0; at < std::size(level_names); ++at) {
    if (level_names[at] == name) return static_cast<level>(at);
  }
  return name == "warning" ? level::warn : otherwise;  // so it stands in the lines
}

sink set_sink(sink replacement) noexcept {
  output& to = the_output();
  const std::lock_guard hold(to.replacement_lock);
  to.is_replaced.store(replacement.write != nullptr, std::memory_order_release);
  return std::exchange(to.replacement, replacement);
}

}  // namespace weir::log
