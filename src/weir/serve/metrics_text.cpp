#include <weir/serve/metrics_text.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace weir {

namespace {

void append_exposition_text(std::string& out, std::string_view text, bool is_label) {
  for (const char c : text) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '"' && is_label) {
      out += "\\\"";
    } else {
      out += c;
    }
  }
}

}  // namespace

void metric_histogram::record(duration length) noexcept {
  const std::int64_t ns = std::max<std::int64_t>(0, length.ns);
  std::size_t at = 0;
  while (at < bounds_us.size() && ns > bounds_us[at] * 1'000) ++at;
  ++counts_[at];
  sum_ns_ += static_cast<std::uint64_t>(ns);
}

std::uint64_t metric_histogram::at_most(std::size_t at) const noexcept {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i <= at && i < counts_.size(); ++i) sum += counts_[i];
  return sum;
}

metrics_text& metrics_text::family(std::string_view name, std::string_view type,
                                   std::string_view help) {
  family_ = name;
  out_ += fmt::format("# HELP {} ", name);
  append_exposition_text(out_, help, false);
  out_ += fmt::format("\n# TYPE {} {}\n", name, type);
  return *this;
}

void metrics_text::line(std::string_view suffix, metric_labels labels, metric_label last,
                        std::string_view value) {
  out_ += family_;
  out_ += suffix;
  char separator = '{';
  const auto label = [&](const metric_label& one) {
    out_ += separator;
    out_ += one.name;
    out_ += "=\"";
    append_exposition_text(out_, one.value, true);
    out_ += '"';
    separator = ',';
  };
  for (const metric_label& one : labels) label(one);
  if (!last.name.empty()) label(last);
  if (separator == ',') out_ += '}';
  fmt::format_to(std::back_inserter(out_), " {}\n", value);
}

metrics_text& metrics_text::sample(metric_labels labels, double value) {
  line({}, labels, {}, fmt::format("{}", value));
  return *this;
}

metrics_text& metrics_text::sample(metric_labels labels, std::uint64_t value) {
  line({}, labels, {}, fmt::format_int(value).c_str());
  return *this;
}

metrics_text& metrics_text::sample(metric_labels labels, const metric_histogram& histogram) {
  constexpr auto& bounds = metric_histogram::bounds_us;
  for (std::size_t at = 0; at < bounds.size(); ++at) {
    line("_bucket", labels, {"le", fmt::format("{}", static_cast<double>(bounds[at]) / 1e6)},
         fmt::format_int(histogram.at_most(at)).c_str());
  }
  const std::string count = fmt::format_int(histogram.count()).str();
  line("_bucket", labels, {"le", "+Inf"}, count);
  line("_sum", labels, {}, fmt::format("{}", histogram.sum_seconds()));
  line("_count", labels, {}, count);
  return *this;
}

std::string metrics_text::take() {
  family_.clear();
  return std::exchange(out_, {});
}

}  // namespace weir
