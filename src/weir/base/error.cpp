#include <weir/base/error.hpp>

#include <weir/base/kept_text.hpp>
#include <weir/base/text.hpp>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <new>
#include <optional>
#include <string>
#include <utility>

namespace weir {

namespace {
constexpr std::size_t message_bytes_max = 4096;

errc code_of_errno(int number) noexcept {
  switch (number) {
    case ECANCELED:
      return errc::cancelled;
    case ETIMEDOUT:
      return errc::timed_out;
    case ECONNRESET:
    case EPIPE:
    case ECONNABORTED:
      return errc::broken;
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH:
      return errc::refused;
    case ENOTCONN:
    case EBADF:
      return errc::closed;
    case EMSGSIZE:
    case EFBIG:
      return errc::too_large;
    case EINVAL:
    case ENAMETOOLONG:
    case ENOTDIR:
    case EISDIR:
      return errc::invalid_argument;
    case ENOENT:
      return errc::not_found;
    case EEXIST:
      return errc::already_exists;
    case EACCES:
    case EPERM:
    case EROFS:
      return errc::permission_denied;
    case ENOSPC:
    case EDQUOT:
      return errc::no_space;
    case EADDRINUSE:
    case EBUSY:
    case EAGAIN:
      return errc::busy;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
      return errc::full;
    case ENOSYS:
    case EOPNOTSUPP:
      return errc::unsupported;
    default:
      return errc::io;
  }
}
}  // namespace

std::string_view name(errc code) noexcept {
  switch (code) {
    case errc::cancelled:
      return "cancelled";
    case errc::timed_out:
      return "timed_out";
    case errc::closed:
      return "closed";
    case errc::end_of_stream:
      return "end_of_stream";
    case errc::broken:
      return "broken";
    case errc::refused:
      return "refused";
    case errc::full:
      return "full";
    case errc::too_large:
      return "too_large";
    case errc::invalid_argument:
      return "invalid_argument";
    case errc::malformed:
      return "malformed";
    case errc::not_found:
      return "not_found";
    case errc::already_exists:
      return "already_exists";
    case errc::permission_denied:
      return "permission_denied";
    case errc::no_space:
      return "no_space";
    case errc::busy:
      return "busy";
    case errc::corrupt:
      return "corrupt";
    case errc::unsupported:
      return "unsupported";
    case errc::io:
      return "io";
    case errc::internal:
      return "internal";
  }
  return "unknown";
}

struct error::detail {
  std::atomic<int> owners{1};
  std::string message;
  std::optional<error> cause;
  weir::detail::kept_text what;  // of exceptions
};

error::error(errc code, std::string_view message, std::source_location place) noexcept
    : code_(code), place_(place) {
  if (auto* mine = own()) {
    try {
      mine->message = message.substr(0, message_bytes_max);
    } catch (const std::bad_alloc&) {
      drop();  // the contract: the code stays, the text is lost
    }
  }
}

error error::from_os(int number, std::string_view doing, std::source_location place) noexcept {
  error made(code_of_errno(number), doing, place);
  made.os_ = number;
  return made;
}

error::error(const error& other) noexcept
    : detail_(other.detail_), code_(other.code_), os_(other.os_), place_(other.place_) {
  if (detail_) detail_->owners.fetch_add(1, std::memory_order_relaxed);
}

error::error(error&& other) noexcept
    : detail_(std::exchange(other.detail_, nullptr)),
      code_(other.code_),
      os_(other.os_),
      place_(other.place_) {}

error& error::operator=(const error& other) noexcept { return *this = error(other); }

error& error::operator=(error&& other) noexcept {
  std::swap(detail_, other.detail_);
  code_ = other.code_;
  os_ = other.os_;
  place_ = other.place_;
  return *this;
}

error::~error() { drop(); }

void error::drop() noexcept {
  if (detail_ && detail_->owners.fetch_sub(1, std::memory_order_acq_rel) == 1) delete detail_;
  detail_ = nullptr;
}

// A private block to write to: a new one, or a copy when others share this one.
error::detail* error::own() noexcept {
  if (detail_ && detail_->owners.load(std::memory_order_acquire) == 1) {
    detail_->what.drop();
    return detail_;
  }
  try {
    auto* mine = new detail;
    if (detail_) {
      mine->message = detail_->message;
      mine->cause = detail_->cause;
    }
    drop();
    detail_ = mine;
    return mine;
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

error error::caused_by(error cause) && noexcept {
  if (auto* mine = own()) mine->cause.emplace(std::move(cause));
  return std::move(*this);
}

std::string_view error::message() const noexcept {
  return detail_ ? std::string_view(detail_->message) : std::string_view();
}

const error* error::cause() const noexcept {
  return detail_ && detail_->cause ? &*detail_->cause : nullptr;
}

const char* exception::what() const noexcept {
  error::detail* shared = error_.detail_;
  if (shared == nullptr) return name(error_.code()).data();  // nothing else is kept
  try {
    const char* kept = shared->what.get();
    return kept != nullptr ? kept : shared->what.keep(describe(error_));
  } catch (const std::bad_alloc&) {
    return "weir::exception (out of memory while describing it)";
  }
}

std::string describe(const error& what) {
  std::string text(name(what.code()));
  if (!what.message().empty()) (text += ": ") += what.message();
  if (what.os_code() != 0) ((text += " (") += std::strerror(what.os_code())) += ')';
  if (const error* cause = what.cause()) (text += "; because ") += describe(*cause);
  return text;
}

void raise(error what) { throw exception(std::move(what)); }

}  // namespace weir
