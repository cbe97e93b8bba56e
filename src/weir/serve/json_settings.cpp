#include <weir/serve/json_settings.hpp>

#include <weir/base/text.hpp>
#include <weir/serve/internal/json_reader.hpp>
#include <weir/serve/json_writer.hpp>

#include <algorithm>
#include <limits>
#include <utility>

namespace weir {

namespace json = boost::json;

namespace {

constexpr detail::json_words setting_words{
    .noun = "setting", .code = "invalid_setting", .unknown = "unknown_setting"};

/// Reads one object of settings; every function of it leaves alone what is not given.
class settings_reader {
 public:
  explicit settings_reader(queue_settings& out) : out_(out) {}

  void read(detail::json_reader from) {
    if (const json::object* capacity = from.object("capacity")) {
      detail::json_reader inside = from.child(*capacity, "capacity");
      whole(inside, "messages", out_.capacity_messages, defaults_.capacity_messages);
      whole(inside, "bytes", out_.capacity_bytes, defaults_.capacity_bytes);
      inside.finish();
      // What is told is what holds: settings_json() has no larger number.
      out_.capacity_messages = std::min(out_.capacity_messages, capacity_unlimited);
      out_.capacity_bytes = std::min(out_.capacity_bytes, capacity_unlimited);
    } else if (from.is_null("capacity")) {
      out_.capacity_messages = defaults_.capacity_messages;
      out_.capacity_bytes = defaults_.capacity_bytes;
    }
    length(from, "lease", out_.lease, defaults_.lease);
    whole(from, "attempts", out_.attempts, defaults_.attempts);
    if (const json::object* backoff = from.object("backoff")) {
      read_backoff(from.child(*backoff, "backoff"));
    } else if (from.is_null("backoff")) {
      out_.backoff = {};
    }
    text(from, "dead_letter", out_.dead_letter, defaults_.dead_letter);
    length(from, "ttl", out_.ttl, defaults_.ttl);
    length(from, "result_ttl", out_.result_ttl, defaults_.result_ttl);
    length(from, "key_window", out_.key_window, defaults_.key_window);
    if (const json::object* push = from.object("push")) {
      read_push(from.child(*push, "push"));
    } else if (from.is_null("push")) {
      out_.push.reset();
    }
    from.finish();
  }

 private:
  void read_backoff(detail::json_reader from) {
    const backoff_settings defaults;
    length(from, "first", out_.backoff.first, defaults.first);
    length(from, "max", out_.backoff.max, defaults.max);
    real(from, "factor", out_.backoff.factor, defaults.factor);
    real(from, "jitter", out_.backoff.jitter, defaults.jitter);
    from.finish();
  }

  void read_push(detail::json_reader from) {
    const push_settings defaults;
    push_settings push = out_.push.value_or(defaults);
    text(from, "url", push.url, defaults.url);
    whole(from, "concurrency", push.concurrency, defaults.concurrency);
    whole(from, "rate", push.rate, defaults.rate);
    length(from, "timeout", push.timeout, defaults.timeout);
    from.finish();
    if (push.url.empty()) from.refuse("url", "is needed: where are messages to be pushed?");
    out_.push = std::move(push);
  }

  template <class N>
  static void whole(detail::json_reader& from, std::string_view field, N& out, N otherwise) {
    std::uint64_t given = 0;
    // What is too large for the setting is refused with its own bound; a larger type has no say.
    if (from.whole(field, std::numeric_limits<std::uint64_t>::max(), given)) {
      out = static_cast<N>(std::min<std::uint64_t>(given, std::numeric_limits<N>::max()));
    }
    if (from.is_null(field)) out = otherwise;
  }
  static void real(detail::json_reader& from, std::string_view field, double& out,
                   double otherwise) {
    from.real(field, out);
    if (from.is_null(field)) out = otherwise;
  }
  static void length(detail::json_reader& from, std::string_view field, duration& out,
                     duration otherwise) {
    from.length(field, out);
    if (from.is_null(field)) out = otherwise;
  }
  static void text(detail::json_reader& from, std::string_view field, std::string& out,
                   const std::string& otherwise) {
    from.text(field, out);
    if (from.is_null(field)) out = otherwise;
  }

  queue_settings& out_;
  const queue_settings defaults_;
};

}  // namespace

answer<queue_settings> read_settings(std::string_view text, const queue_settings& base) {
  queue_settings settings = base;
  if (trim(text).empty()) return settings;
  answer<json::object> object = detail::parse_json_object(text, "the body");
  if (!object) return std::unexpected(std::move(object.error()));
  std::optional<api_problem> problem;
  settings_reader(settings).read(detail::json_reader(*object, problem, setting_words));
  if (problem) return std::unexpected(std::move(*problem));
  return settings;
}

std::string settings_json(const queue_settings& settings) {
  json_writer out;
  out.begin_object();
  out.begin_object("capacity")
      .field("messages", std::min(settings.capacity_messages, capacity_unlimited))
      .field("bytes", std::min(settings.capacity_bytes, capacity_unlimited))
      .end_object();
  out.field("lease", format_duration(settings.lease)).field("attempts", settings.attempts);
  out.begin_object("backoff")
      .field("first", format_duration(settings.backoff.first))
      .field("max", format_duration(settings.backoff.max))
      .field("factor", settings.backoff.factor)
      .field("jitter", settings.backoff.jitter)
      .end_object();
  out.field("dead_letter", settings.dead_letter)
      .field("ttl", format_duration(settings.ttl))
      .field("result_ttl", format_duration(settings.result_ttl))
      .field("key_window", format_duration(settings.key_window));
  if (settings.push) {
    out.begin_object("push")
        .field("url", settings.push->url)
        .field("concurrency", settings.push->concurrency)
        .field("rate", settings.push->rate)
        .field("timeout", format_duration(settings.push->timeout))
        .end_object();
  } else {
    out.null("push");
  }
  return out.end_object().take();
}

}  // namespace weir
