#include <weir/http/internal/server_core.hpp>

#include <weir/wire/http1_writer.hpp>

namespace weir::http::detail {

std::string_view server_core::date() {
  const std::int64_t second = loop::current()->io().wall_now().ns / 1'000'000'000;
  if (second != date_second_) {
    date_.clear();
    append_http_date(date_, second);
    date_second_ = second;
  }
  return date_;
}

}  // namespace weir::http::detail
