// Reading a JSON object field by field, as strictly as a compiler: a field of the wrong type is
// refused by its path, and finish() refuses the fields that nobody asked for, with the list of
// those that exist. The hard idea: what may be given is exactly what the code asks for, so the list
// in the error can't grow old. The first problem wins; after it every question is answered "no".
#pragma once

#include <weir/base/time.hpp>
#include <weir/serve/api_problem.hpp>

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir::detail {

constexpr std::size_t json_depth_max = 16;
/// Of one text. Two bytes of it make a value of 16 in memory, and more while its array grows.
constexpr std::size_t json_commas_max = 1'000'000;

/// Parses one whole JSON value; `what` names the text in the error ("the body").
answer<boost::json::value> parse_json(std::string_view text, std::string_view what);
/// The same, and it must be an object; a field that is there twice, at any depth, is refused.
answer<boost::json::object> parse_json_object(std::string_view text, std::string_view what);

/// What a json_reader calls its fields in errors, and with which code it refuses them.
struct json_words {
  std::string_view noun = "field";          // "setting 'push.rate' must be a whole number"
  std::string_view code = "invalid_field";  // of a wrong type or value
  std::string_view unknown = "unknown_field";
};

class json_reader {
 public:
  json_reader(const boost::json::object& from, std::optional<api_problem>& problem,
              json_words words = {}, std::string path = {})
      : from_(from), problem_(problem), words_(words), path_(std::move(path)) {}

  // Each gives true when the field is there, is not null and has the right type; `out` is set then.
  bool text(std::string_view field, std::string& out);
  bool whole(std::string_view field, std::uint64_t max, std::uint64_t& out, std::uint64_t min = 0);
  bool real(std::string_view field, double& out);  // to six decimals
  bool length(std::string_view field, duration& out);
  /// Null when absent, null, or of another type; else the object to read with child().
  const boost::json::object* object(std::string_view field);
  const boost::json::array* array(std::string_view field);
  /// The field as it is, null when absent.
  const boost::json::value* any(std::string_view field);
  /// True when the field is there and null: "give me the default".
  bool is_null(std::string_view field);

  json_reader child(const boost::json::object& of, std::string_view field) const;
  /// Refuses fields that were not asked for.
  void finish();
  /// Notes a problem with a field, for rules that types don't say.
  void refuse(std::string_view field, std::string_view rule);
  bool has_problem() const noexcept { return problem_.has_value(); }

 private:
  const boost::json::value* find(std::string_view field);
  std::string full_name(std::string_view field) const;

  const boost::json::object& from_;
  std::optional<api_problem>& problem_;
  json_words words_;
  std::string path_;
  std::vector<std::string_view> known_;
};

}  // namespace weir::detail
