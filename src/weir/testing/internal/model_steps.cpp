#include <weir/testing/internal/model_steps.hpp>

#include <weir/sim/run_story.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <iterator>

namespace weir::model::detail {

namespace {

// Small numbers as such, the rest (pointers mostly) as they look in a debugger.
std::string value_text(std::uint64_t value) {
  constexpr std::uint64_t small = 1'000'000;
  const auto negative = static_cast<std::int64_t>(value);
  if (negative < 0 && negative > -static_cast<std::int64_t>(small))
    return fmt::format("{}", negative);
  return value < small ? fmt::format("{}", value) : fmt::format("{:#x}", value);
}

bool is_name_part(char c) noexcept {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_';
}

}  // namespace

const char* name(operation what) noexcept {
  switch (what) {
    case operation::load:
      return "load";
    case operation::store:
      return "store";
    case operation::exchange:
      return "exchange";
    case operation::add:
      return "add";
    case operation::combine:
      return "combine";
    case operation::compare_exchange:
      return "compare_exchange";
    case operation::fence:
      return "fence";
    case operation::read:
      return "read";
    case operation::write:
      return "write";
    case operation::lock:
      return "lock";
    case operation::unlock:
      return "unlock";
    case operation::wait:
      return "wait";
    case operation::wake:
      return "wake";
    case operation::yield:
      return "yield";
  }
  return "?";
}

const char* name(std::memory_order order) noexcept {
  switch (order) {
    case std::memory_order_relaxed:
      return "relaxed";
    case std::memory_order_consume:
      return "consume";
    case std::memory_order_acquire:
      return "acquire";
    case std::memory_order_release:
      return "release";
    case std::memory_order_acq_rel:
      return "acq_rel";
    case std::memory_order_seq_cst:
      return "seq_cst";
  }
  return "?";
}

std::string place_text(const std::source_location& where) {
  if (where.line() == 0) return "(plain)";
  std::string_view file = where.file_name();
  file.remove_prefix(file.rfind('/') == std::string_view::npos ? 0 : file.rfind('/') + 1);
  return fmt::format("{}:{}", file, where.line());
}

std::string bare_name(const std::source_location& where) {
  std::string whole = where.function_name();
  whole.resize(std::min(whole.find(" [", 0), whole.size()));  // "[T = int]" of a template
  return short_name(whole.c_str());
}

// "T *weir::detail::offer_deque<int>::steal() [T = int]": a name that a bracket follows at once.
bool is_in(const std::source_location& where, std::string_view function) noexcept {
  const std::string_view whole = where.function_name();
  for (std::size_t at = whole.find(function); at != std::string_view::npos;
       at = whole.find(function, at + 1)) {
    const std::size_t end = at + function.size();
    const bool begins = at == 0 || !is_name_part(whole[at - 1]);
    if (begins && (end == whole.size() || whole[end] == '(')) return true;
  }
  return false;
}

std::string text_of(const std::vector<step>& steps) {
  std::string text;
  const auto out = std::back_inserter(text);
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const step& one = steps[i];
    const bool is_ordered = one.what <= operation::fence;
    fmt::format_to(out, "{:4}  thread {}  {:<28} {} {}", i + 1, one.thread, place_text(one.where),
                   bare_name(one.where), name(one.what));
    if (one.at != no_location) fmt::format_to(out, " #{}", one.at);
    if (is_ordered) fmt::format_to(out, " {}", name(one.order));
    if (one.has_read) fmt::format_to(out, ": read {}", value_text(one.read));
    if (one.has_read && one.read_from == 0) text += " (its first value)";
    if (one.has_read && one.read_from != 0) fmt::format_to(out, " (of step {})", one.read_from);
    if (one.has_written) {
      fmt::format_to(out, "{} wrote {}", one.has_read ? "," : ":", value_text(one.written));
    }
    text += '\n';
  }
  return text;
}

}  // namespace weir::model::detail
