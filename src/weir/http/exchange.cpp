#include <weir/http/exchange.hpp>

#include <weir/http/internal/connection.hpp>
#include <weir/io/address.hpp>

namespace weir::http {

WEIR_CORO_WRAPPER task<bytes> request::read() { return of_->read_body(); }
WEIR_CORO_WRAPPER task<std::string> request::read_all(std::size_t bytes_max) {
  return of_->read_all(bytes_max);
}
address request::peer() const { return of_->peer(); }
const tls_info* request::tls() const noexcept { return of_->tls(); }
const http_fault& request::body_fault() const noexcept { return of_->body_fault(); }
event& request::drain() const noexcept { return of_->drain(); }

WEIR_CORO_WRAPPER task<> body_writer::write(std::string_view text) { return of_->write(text); }
WEIR_CORO_WRAPPER task<> body_writer::flush() { return of_->flush(); }
WEIR_CORO_WRAPPER task<> body_writer::end() { return of_->end_stream(); }

WEIR_CORO_WRAPPER task<> sse_writer::send(sse_event what) { return of_->write_event(what); }
WEIR_CORO_WRAPPER task<> sse_writer::send_retry(duration after) { return of_->write_retry(after); }
WEIR_CORO_WRAPPER task<> sse_writer::end() { return of_->end_stream(); }

void response::header(std::string_view name, std::string_view value) {
  of_->add_field(name, value);
}
WEIR_CORO_WRAPPER task<> response::send(int status, std::string_view content_type,
                                        std::string_view body) {
  return of_->send_whole(status, content_type, body);
}
WEIR_CORO_WRAPPER task<> response::send_problem(int status, std::string_view code,
                                                std::string_view detail) {
  return of_->send_problem(status, code, detail);
}
task<body_writer> response::begin(int status, std::string_view content_type) {
  of_->begin_stream(status, content_type);
  co_return body_writer(*of_);
}
task<sse_writer> response::begin_events() {
  co_await of_->begin_events();
  co_return sse_writer(*of_);
}
void response::end_when_client_leaves() { of_->watch_client(); }
void response::close_after() noexcept { of_->close_after(); }
bool response::is_begun() const noexcept { return of_->is_begun(); }

}  // namespace weir::http
