#include <weir/drill/answer_fields.hpp>

#include <boost/json/value.hpp>

namespace weir::drill {

namespace {

const boost::json::value* find(const boost::json::value& of, std::string_view field) {
  return of.is_object() ? of.get_object().if_contains(field) : nullptr;
}

}  // namespace

std::string text_of(const boost::json::value& of, std::string_view field) {
  const boost::json::value* found = find(of, field);
  return found && found->is_string() ? std::string(std::string_view(found->get_string())) : "";
}

std::uint64_t number_of(const boost::json::value& of, std::string_view field) {
  const boost::json::value* found = find(of, field);
  return found && found->is_int64() ? static_cast<std::uint64_t>(found->get_int64()) : 0;
}

std::vector<boost::json::value> list_of(const boost::json::value& of, std::string_view field) {
  const boost::json::value* found = find(of, field);
  if (!found || !found->is_array()) return {};
  return {found->get_array().begin(), found->get_array().end()};
}

}  // namespace weir::drill
