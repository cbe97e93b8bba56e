#include <weir/http/client.hpp>

#include <weir/base/defect.hpp>
#include <weir/base/text.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/http/internal/client_connection.hpp>
#include <weir/http/internal/connection_pool.hpp>
#include <weir/http/internal/redirect.hpp>

#include <algorithm>
#include <utility>

namespace weir::http {

using detail::client_connection;
using detail::connection_pool;

namespace {

// 9110, 9.2.2: sending these twice has the effect of sending them once.
bool is_idempotent(std::string_view method) noexcept {
  for (const std::string_view one : {"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"}) {
    if (method == one) return true;
  }
  return false;
}

/// What is to be sent, and until when somebody waits for the answer.
struct asked {
  client_request what;
  time_point until = time_point::never();
};

struct opened {
  response_head head;
  std::unique_ptr<client_connection> from;
};

task<opened> try_once(connection_pool* from, const asked* of, const url* to, bool is_fresh,
                      bool* was_stale) {
  const connection_pool::visit at(from->host_of(*to));
  opened made;
  made.from = co_await from->take(at, *to, is_fresh);
  try {
    made.head = co_await made.from->exchange(of->what, *to, of->until);
  } catch (const exception&) {
    *was_stale = made.from->was_perhaps_stale();
    throw;
  }
  co_return made;
}

// One request to one URL, sent again once when the pooled connection turns out to be closed.
task<opened> open_at(connection_pool* from, const asked* of, const url* to) {
  bool was_stale = false;
  try {
    co_return co_await try_once(from, of, to, false, &was_stale);
  } catch (const exception&) {
    const bool may_resend = of->what.may_resend || is_idempotent(of->what.method) ||
                            is_planted("http: sends any request again");
    if (!was_stale || !may_resend) throw;
  }
  ++from->counts().resends;
  co_return co_await try_once(from, of, to, true, &was_stale);
}

// Follows redirects, which change what is asked.
task<opened> open_following(connection_pool* from, asked* of) {
  client_request& what = of->what;
  if (what.method == "CONNECT") {
    raise(error(errc::invalid_argument, "CONNECT makes a tunnel, which this client does not"));
  }
  url to = value_or_raise(parse_url(what.url));
  std::vector<http_field> kept_headers;
  for (std::uint32_t redirects = 0;; ++redirects) {
    opened made = co_await open_at(from, of, &to);
    const auto location = made.head.field("Location");
    if (from->options().redirects_max == 0 || !location ||
        !detail::is_redirect(made.head.status())) {
      co_return made;
    }
    if (redirects == from->options().redirects_max) {
      raise(error(errc::invalid_argument, "more redirects than redirects_max"));
    }
    url next = value_or_raise(detail::resolve_location(to, *location));
    detail::prepare_redirected(what, kept_headers, made.head.status(), to, next);
    to = std::move(next);
    from->give_back(std::move(made.from));
  }
}

task<client_response> whole_response(connection_pool* from, asked* of) {
  opened made = co_await open_following(from, of);
  client_response whole{std::move(made.head), {}};
  while (true) {
    const bytes piece = co_await made.from->read();
    if (piece.empty()) break;
    whole.body += piece.text();
  }
  from->give_back(std::move(made.from));
  co_return whole;
}

// "GET http://...": errors begin with what was asked for, but for the query: it may hold secrets.
[[noreturn]] void raise_about(const client_request& what, const error& reason) {
  std::string text(what.method);
  (text += ' ') += url_without_query(what.url.substr(0, url_text_bytes_max));
  raise(error(reason.code(), text).caused_by(reason));
}

duration timeout_of(const connection_pool& from, const client_request& what) noexcept {
  return what.timeout > duration(0) ? what.timeout : from.options().timeout;
}

// The deadline around the caller. Asked only where it is told: it costs a walk up the scopes.
time_point end_of_wait(const connection_pool& from) noexcept {
  const scope* around = from.options().tells_time_left ? scope::current() : nullptr;
  return around ? around->effective_deadline() : time_point::never();
}

}  // namespace

client::client(client_options options) : pool_(std::make_unique<connection_pool>(options)) {}
client::~client() = default;

client_stats client::stats() const noexcept { return pool_->stats(); }

task<client_response> client::send(client_request what) {
  ++pool_->counts().requests;
  const duration limit = timeout_of(*pool_, what);
  asked of{.what = what, .until = end_of_wait(*pool_)};
  if (pool_->options().tells_time_left) {
    of.until = std::min(of.until, loop::current()->now() + limit);
  }
  try {
    co_return co_await with_timeout(limit, whole_response(pool_.get(), &of));
  } catch (const exception& e) {
    ++pool_->counts().failures;
    raise_about(what, e.reason());
  }
}

task<client_stream> client::open(client_request what) {
  ++pool_->counts().requests;
  asked of{.what = what, .until = end_of_wait(*pool_)};
  try {
    opened made = co_await with_timeout(timeout_of(*pool_, what), open_following(pool_.get(), &of));
    co_return client_stream(std::move(made.head), std::move(made.from));
  } catch (const exception& e) {
    ++pool_->counts().failures;
    raise_about(what, e.reason());
  }
}

client_stream::client_stream(response_head head, std::unique_ptr<client_connection> from) noexcept
    : head_(std::move(head)), from_(std::move(from)) {}
client_stream::client_stream(client_stream&&) noexcept = default;

client_stream& client_stream::operator=(client_stream&& other) noexcept {
  if (this != &other) {
    if (from_) from_->owner().give_back(std::move(from_));
    head_ = std::move(other.head_);
    from_ = std::move(other.from_);
  }
  return *this;
}

client_stream::~client_stream() {
  if (from_) from_->owner().give_back(std::move(from_));
}

task<bytes> client_stream::read() { co_return co_await from_->read(); }

}  // namespace weir::http
