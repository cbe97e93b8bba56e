// The time to read one request head with Boost.Beast's basic_parser, which is made for use without
// its containers: as in weir's parser, the fields are kept as views, in memory that is reused.
#include "../http_parser_input.hpp"
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;

struct kept_views {
  std::vector<std::pair<std::string_view, std::string_view>> fields;
  std::string_view target;
};

class view_parser : public http::basic_parser<true> {
 public:
  explicit view_parser(kept_views& kept) : kept_(kept) {
    kept_.fields.clear();
    kept_.target = {};
  }

 private:
  static std::string_view view(beast::string_view text) { return {text.data(), text.size()}; }

  void on_request_impl(http::verb, beast::string_view, beast::string_view target, int,
                       beast::error_code& problem) override {
    kept_.target = view(target);
    problem = {};
  }
  void on_response_impl(int, beast::string_view, int, beast::error_code&) override {}
  void on_field_impl(http::field, beast::string_view name, beast::string_view value,
                     beast::error_code& problem) override {
    kept_.fields.emplace_back(view(name), view(value));
    problem = {};
  }
  void on_header_impl(beast::error_code& problem) override { problem = {}; }
  void on_body_init_impl(const boost::optional<std::uint64_t>&,
                         beast::error_code& problem) override {
    problem = {};
  }
  std::size_t on_body_impl(beast::string_view, beast::error_code&) override { return 0; }
  void on_chunk_header_impl(std::uint64_t, beast::string_view, beast::error_code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, beast::string_view, beast::error_code&) override {
    return 0;
  }
  void on_finish_impl(beast::error_code& problem) override { problem = {}; }

  kept_views& kept_;
};

}  // namespace

int main(int count, char** arguments) {
  kept_views kept;
  return bench::run(count, arguments, [&kept](std::string_view request) -> std::uint64_t {
    view_parser parser(kept);  // it can't be reset
    beast::error_code problem;
    parser.put(boost::asio::const_buffer(request.data(), request.size()), problem);
    if (problem || !parser.is_header_done()) return 0;
    std::uint64_t bytes = kept.target.size();
    for (const auto& [name, value] : kept.fields) bytes += name.size() + value.size();
    return bytes;
  });
}
