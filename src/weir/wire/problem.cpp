#include <weir/wire/problem.hpp>

#include <weir/wire/http_head.hpp>
#include <weir/wire/utf8.hpp>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace weir {

std::string problem_json(int status, std::string_view code, std::string_view detail) {
  const std::string_view title = reason_phrase(status);
  boost::json::object problem;
  problem["type"] = "about:blank";
  problem["title"] = boost::json::string_view(title.data(), title.size());
  problem["status"] = status;
  problem["code"] = repair_utf8(code);
  problem["detail"] = repair_utf8(detail);
  return boost::json::serialize(problem) + '\n';
}

}  // namespace weir
