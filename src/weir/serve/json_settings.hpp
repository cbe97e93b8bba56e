// A queue's settings as JSON, both ways. The hard idea: a PUT changes what it gives and keeps the
// rest, so that a user can raise a push rate without repeating a page of settings; null gives a
// setting its default back.
#pragma once

#include <weir/broker/queue_settings.hpp>
#include <weir/serve/api_problem.hpp>

#include <string>
#include <string_view>

namespace weir {

/// Settings of `base` changed by the JSON object `text`; an empty text changes nothing. Refuses
/// wrong types by path ("setting 'push.rate' must be ..."), and unknown settings by name. Ranges
/// are judged by check(), which the broker calls.
answer<queue_settings> read_settings(std::string_view text, const queue_settings& base);

/// All settings as one JSON object that read_settings takes back.
std::string settings_json(const queue_settings& settings);

}  // namespace weir
