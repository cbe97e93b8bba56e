// Fuzzes what clients may say in JSON, in queries and in paths: it is taken or refused with a whole
// problem, and what is taken reads back equal. The first byte of the input chooses the reader.
#include <weir/base/assert.hpp>
#include <weir/serve/json_settings.hpp>
#include <weir/serve/query_params.hpp>
#include <weir/serve/routes.hpp>
#include <weir/serve/server_config.hpp>
#include <weir/serve/submit_fields.hpp>
#include <weir/serve/token_set.hpp>
#include <weir/wire/utf8.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace weir {
namespace {

void check_problem(const api_problem& why) {
  WEIR_ASSERT(why.status >= 400 && why.status < 500);
  WEIR_ASSERT(!why.code.empty() && !why.detail.empty());
  WEIR_ASSERT(why.detail.size() < 4'000);
}

void check_settings(std::string_view text) {
  const auto read = read_settings(text, {});
  if (!read) return check_problem(read.error());
  const auto again = read_settings(settings_json(*read), {});
  WEIR_ASSERT(again.has_value());
  if (read->backoff.factor == read->backoff.factor &&
      read->backoff.jitter == read->backoff.jitter) {
    WEIR_ASSERT(*again == *read);
  }
}

void check_batch(std::string_view text) {
  constexpr std::size_t messages_max = 20;
  const auto batch = read_batch(text, messages_max);
  if (!batch) return check_problem(batch.error());
  WEIR_ASSERT(!batch->empty() && batch->size() <= messages_max);
  for (const answer<batch_message>& one : *batch) {
    if (!one) {
      check_problem(one.error());
      continue;
    }
    WEIR_ASSERT(one->priority <= 9 && one->delay >= duration() && !one->content_type.empty());
    WEIR_ASSERT(one->body.size() <= text.size());
  }
}

void check_query(std::string_view text) {
  const auto params = query_params::parse(text, {"max", "wait", "lease"});
  if (!params) return check_problem(params.error());
  const auto max = params->whole("max", 1, 1, 1'000);
  if (max) {
    WEIR_ASSERT(*max >= 1 && *max <= 1'000);
  } else {
    check_problem(max.error());
  }
  const auto wait = params->length("wait", duration(), duration::seconds(300));
  if (wait) {
    WEIR_ASSERT(*wait >= duration() && *wait <= duration::seconds(300));
  } else {
    check_problem(wait.error());
  }
}

void check_route(std::string_view text) {
  const std::size_t space = text.find(' ');
  if (space == std::string_view::npos) return;
  const std::string_view path = text.substr(space + 1);
  const auto to = find_route(text.substr(0, space), path);
  if (!to) return check_problem(to.error());
  WEIR_ASSERT(to->argument.empty() || path.find(to->argument) != std::string_view::npos);
  WEIR_ASSERT(to->argument.find('/') == std::string_view::npos);
}

void try_input(std::string_view input) {
  if (input.empty()) return;
  const std::string_view text = input.substr(1);
  switch (input[0] % 6) {
    case 0:
      return check_settings(text);
    case 1:
      return check_batch(text);
    case 2:
      return check_query(text);
    case 3:
      return check_route(text);
    case 4: {
      const auto config = read_config(text, {});
      if (!config) return check_problem(config.error());
      WEIR_ASSERT(config->connections_max >= 1 && config->segment_bytes % 4096 == 0);
      return;
    }
    default: {
      const auto tokens = token_set::parse(text);
      if (tokens) WEIR_ASSERT(!tokens->admits(std::nullopt));
    }
  }
}

}  // namespace
}  // namespace weir

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  weir::try_input({reinterpret_cast<const char*>(data), size});
  return 0;
}
