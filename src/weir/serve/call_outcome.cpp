#include <weir/serve/call_outcome.hpp>

#include <weir/base/defect.hpp>
#include <weir/base/text.hpp>
#include <weir/serve/retry_after.hpp>
#include <weir/wire/http_head.hpp>
#include <weir/wire/utf8.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace weir {

namespace {

constexpr std::size_t quoted_body_bytes_max = 300;

/// The beginning of an answer's body in one line.
std::string excerpt(std::string_view body) {
  std::string text = repair_utf8(trim(body.substr(0, quoted_body_bytes_max)));
  std::ranges::replace_if(text, [](unsigned char c) { return c < 0x20 || c == 0x7f; }, ' ');
  return text;
}

}  // namespace

call_outcome outcome_of(int status, std::string_view body,
                        std::optional<std::string_view> retry_after, time_point wall_now) {
  if (status >= 200 && status < 300)
    return {.kind = call_kind::delivered, .text = {}, .retry_after = {}};
  call_outcome outcome{.kind = call_kind::failed,
                       .text = fmt::format("answered {} {}", status, reason_phrase(status)),
                       .retry_after = {}};
  if (const std::string quoted = excerpt(body); !quoted.empty()) outcome.text += ": " + quoted;
  if (status == 410 && !is_planted("serve: calls again after 410")) outcome.kind = call_kind::gone;
  if (status == 429 || status == 503) {
    outcome.kind = call_kind::busy;
    if (retry_after && !is_planted("serve: ignores Retry-After"))
      outcome.retry_after = parse_retry_after(*retry_after, wall_now);
  }
  return outcome;
}

call_outcome outcome_of(const error& why, duration within) {
  // `full` is of this server: it has no descriptor, no memory or no place for another host.
  const call_kind kind = why == errc::full ? call_kind::busy : call_kind::failed;
  // The system's own time-outs have a number, and say themselves what took so long.
  const bool is_ours = why == errc::timed_out && why.os_code() == 0;
  return {.kind = kind,
          .text = is_ours
                      ? fmt::format("timed_out: no whole answer within {}", format_duration(within))
                      : describe(why),
          .retry_after = {}};
}

}  // namespace weir
