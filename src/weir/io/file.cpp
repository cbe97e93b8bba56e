#include <weir/io/file.hpp>

#include <weir/base/error.hpp>
#include <weir/io/detail/file_offset.hpp>
#include <weir/io/internal/zero_byte.hpp>

#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>
#include <exception>
#include <new>
#include <utility>

namespace weir {

namespace detail {

namespace {

template <class Wait>
constexpr wait_kind kind_named(const char* name) noexcept {
  return {.name = name, .cancel = &Wait::leave, .describe = &Wait::describe};
}

constinit const wait_kind open_kind = kind_named<open_wait>("open");
constinit const wait_kind open_dir_kind = kind_named<open_dir_wait>("open folder");
constinit const wait_kind read_kind = kind_named<read_wait>("read");
constinit const wait_kind write_kind = kind_named<write_wait>("write");
constinit const wait_kind sync_kind = kind_named<done_wait>("sync");
constinit const wait_kind preallocate_kind = kind_named<done_wait>("preallocate");
constinit const wait_kind truncate_kind = kind_named<done_wait>("truncate");
constinit const wait_kind rename_kind = kind_named<done_wait>("rename");
constinit const wait_kind remove_kind = kind_named<done_wait>("remove");
constinit const wait_kind make_dir_kind = kind_named<done_wait>("make folder");
constinit const wait_kind sync_dir_kind = kind_named<done_wait>("sync folder");

// Of a file that is open the system says so, too, when it was not opened for that.
bool is_open_for_less(driver& io, const io_request& request) noexcept {
  file_status status;
  return request.outcome == -EBADF && request.handle >= 0 &&
         io.status_of(request.handle, status) >= 0;
}

// A file does not keep its name: which one it was is asked when something has failed.
class file_name {
 public:
  file_name(driver& io, const io_request& request) noexcept {
    if (request.outcome == -ECANCELED) return;  // it may be closed
    text_[io.path_of(request.handle, text_, sizeof text_ - 1)] = '\0';
  }
  const char* or_null() const noexcept { return *text_ ? text_ : nullptr; }
  /// " 'a/b'", or nothing.
  std::string quoted() const { return *text_ ? fmt::format(" '{}'", text_) : std::string(); }

 private:
  char text_[4096] = "";
};

error failed_at(driver& io, const io_request& request, const char* what,
                std::source_location place) noexcept {
  return io_error(request.outcome, what, file_name(io, request).or_null(), place);
}

error not_opened_for(const char* purpose, driver& io, const io_request& request, const char* what,
                     std::source_location place) noexcept {
  try {
    return {errc::permission_denied,
            fmt::format("{}{}: the file was not opened for {}", what,
                        file_name(io, request).quoted(), purpose),
            place};
  } catch (const std::exception&) {  // no memory for the text
    return {errc::permission_denied, place};
  }
}

error beyond(const char* what, std::uint64_t offset, std::source_location place) noexcept {
  try {
    return {errc::invalid_argument,
            fmt::format("{} at {}: a file has no offset beyond {}", what, offset, offset_max),
            place};
  } catch (const std::exception&) {  // no memory for the text
    return {errc::invalid_argument, place};
  }
}

// No driver is asked: none knows a file of this number.
io_handle unless_beyond(std::uint64_t offset, io_handle of) noexcept {
  return is_beyond_files(offset) ? -1 : of;
}

std::uint32_t open_flags(const open_options& options) noexcept {
  int flags = O_CLOEXEC;
  flags |= options.write ? (options.read ? O_RDWR : O_WRONLY) : O_RDONLY;
  if (options.create) flags |= O_CREAT;
  if (options.exclusive) flags |= O_EXCL;
  if (options.truncate) flags |= O_TRUNC;
  if (options.append) flags |= O_APPEND;
  if (options.direct) flags |= O_DIRECT;
  return static_cast<std::uint32_t>(flags);
}

}  // namespace

bool request_path::is_refused() const noexcept {
  if (has_zero(text)) return true;
  if (begin == 0) return false;
  const std::string_view name = std::string_view(text).substr(begin);
  return name == "." || name == ".." || name.find('/') != name.npos;
}

error request_path::refusal(const char* what, std::source_location at) const noexcept {
  if (has_zero(text)) return zero_byte(what, text, at);
  try {
    return {errc::invalid_argument,
            fmt::format("{} '{}': the name of an entry of a directory has no / and is not . or ..",
                        what, text),
            at};
  } catch (const std::exception&) {  // no memory for the text
    return {errc::invalid_argument, at};
  }
}

bool done_wait::try_now() noexcept {
  path = from_.c_str();
  path_to = to_.c_str();
  const bool is_refused = from_.is_refused() || to_.is_refused() || is_beyond_files(offset, size);
  const bool is_of_none = from_.is_homeless(handle) || is_at_wrong_place_;
  if (!is_refused && !is_of_none) return io_wait::try_now();
  outcome = is_refused ? -EINVAL : -EBADF;
  return true;
}

result<void> done_wait::take() noexcept {
  if (outcome >= 0) return {};
  if (from_.is_refused()) return fail(from_.refusal(kind->name, place));
  if (to_.is_refused()) return fail(to_.refusal(kind->name, place));
  if (is_beyond_files(offset, size)) return fail(beyond(kind->name, offset, place));
  driver& io = task->current->on().io();
  if (is_at_wrong_place_)
    return fail(not_opened_for("writing at an offset", io, *this, kind->name, place));
  if (!path) return fail(failed_at(io, *this, kind->name, place));
  return fail(io_error(outcome, kind->name, from_.text.c_str(), place));
}

open_wait::open_wait(request_path what, open_options options, io_handle in) noexcept
    : io_wait(open_kind), what_(std::move(what)) {
  op = io_op::open;
  handle = in;
  flags = open_flags(options);
  mode = options.mode;
}

bool open_wait::try_now() noexcept {
  path = what_.text.c_str() + what_.begin;
  const bool is_refused = what_.is_refused();
  if (!is_refused && !what_.is_homeless(handle)) return io_wait::try_now();
  outcome = is_refused ? -EINVAL : -EBADF;
  return true;
}

result<file> open_wait::take() noexcept {
  if (what_.is_refused()) return fail(what_.refusal(kind->name, place));
  if (outcome < 0) return fail(io_error(outcome, kind->name, what_.text.c_str(), place));
  return file(task->current->on().io(), static_cast<io_handle>(outcome), (flags & O_APPEND) != 0);
}

open_dir_wait::open_dir_wait(std::string name) noexcept
    : io_wait(open_dir_kind), what_{std::move(name)} {
  op = io_op::open;
  flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
}

bool open_dir_wait::try_now() noexcept {
  path = what_.text.c_str();
  if (!what_.is_refused()) return io_wait::try_now();
  outcome = -EINVAL;
  return true;
}

result<directory> open_dir_wait::take() noexcept {
  if (what_.is_refused()) return fail(what_.refusal(kind->name, place));
  if (outcome < 0) return fail(failed(kind->name));
  return directory(task->current->on().io(), static_cast<io_handle>(outcome),
                   std::move(what_.text));
}

read_wait::read_wait(io_handle from, std::uint64_t at, char* into, std::size_t length) noexcept
    : io_wait(read_kind) {
  op = io_op::read_at;
  handle = unless_beyond(at, from);
  offset = at;
  memory = into;
  size = length;
}

result<std::size_t> read_wait::take() noexcept {
  if (is_beyond_files(offset)) return fail(beyond("read", offset, place));
  if (outcome >= 0) return static_cast<std::size_t>(outcome);
  driver& io = task->current->on().io();
  if (is_open_for_less(io, *this))
    return fail(not_opened_for("reading", io, *this, kind->name, place));
  return fail(failed_at(io, *this, kind->name, place));
}

write_wait::write_wait(io_handle to, std::uint64_t at, slice_cursor what, way how,
                       bool is_open_for_it, std::size_t* written) noexcept
    : io_wait(write_kind),
      left_(what),
      written_(written),
      how_(how),
      is_open_for_it_(is_open_for_it) {
  op = io_op::write_at;
  flags = how == way::at_offset_durably ? 1 : 0;
  handle = unless_beyond(at, to);
  offset = at;
  if (written_) *written_ = 0;  // also when it is cancelled before it begins
}

bool write_wait::try_now() noexcept {
  if (is_refused()) {
    outcome = -EBADF;
    return true;
  }
  if (left_.is_empty()) return true;
  left_.load(*this);
  return io_wait::try_now();
}

bool write_wait::goes_on() noexcept {
  if (outcome == 0) outcome = -EIO;  // a write of something that takes nothing would never end
  if (outcome < 0) return false;
  left_.advance(static_cast<std::size_t>(outcome));
  offset += static_cast<std::uint64_t>(outcome);
  done_ += static_cast<std::uint64_t>(outcome);
  if (written_) *written_ = done_;
  if (left_.is_empty()) return false;
  left_.load(*this);
  return true;
}

result<void> write_wait::take() noexcept {
  if (outcome >= 0) return {};
  if (is_beyond_files(offset)) return fail(beyond("write", offset, place));
  driver& io = task->current->on().io();
  if (is_refused()) {
    return fail(not_opened_for(how_ == way::at_end ? "appending" : "writing at an offset", io,
                               *this, kind->name, place));
  }
  if (is_open_for_less(io, *this))
    return fail(not_opened_for("writing", io, *this, kind->name, place));
  if (done_ == 0) return fail(failed_at(io, *this, kind->name, place));
  try {
    const std::string what =
        fmt::format("write{} failed after {} bytes", file_name(io, *this).quoted(), done_);
    return fail(failed(what.c_str()));
  } catch (const std::exception&) {  // no memory for the text
    return fail(failed_at(io, *this, kind->name, place));
  }
}

}  // namespace detail

detail::done_wait file::sync_data() noexcept {
  return std::move(
      detail::done_wait(detail::sync_kind, io_op::sync, detail::handle_here(io_, handle_)).with(1));
}

detail::done_wait file::sync() noexcept {
  return {detail::sync_kind, io_op::sync, detail::handle_here(io_, handle_)};
}

detail::done_wait file::preallocate(std::uint64_t offset, std::size_t size) noexcept {
  return std::move(detail::done_wait(detail::preallocate_kind, io_op::preallocate,
                                     detail::handle_here(io_, handle_))
                       .with(0, offset, size)
                       .unless(is_for_append_));
}

detail::done_wait file::truncate(std::uint64_t size) noexcept {
  return std::move(
      detail::done_wait(detail::truncate_kind, io_op::truncate, detail::handle_here(io_, handle_))
          .with(0, size));
}

bool file::try_lock() {
  if (handle_ < 0) raise(error(errc::closed, "lock a file that is closed"));
  const int outcome = io_->lock_file(handle_);
  if (outcome == -EWOULDBLOCK) return false;
  if (outcome < 0) raise(error::from_os(-outcome, "lock a file"));
  return true;
}

std::uint64_t file::size() const {
  if (handle_ < 0) raise(error(errc::closed, "size of a file that is closed"));
  file_status status;
  const int outcome = io_->status_of(handle_, status);
  if (outcome < 0) raise(error::from_os(-outcome, "size of a file"));
  return status.size;
}

void file::close() noexcept {
  if (handle_ >= 0) io_->close_now(std::exchange(handle_, -1));
}

directory::directory(driver& io, io_handle handle, std::string path) noexcept
    : io_(&io), handle_(handle), path_(std::move(path)) {
  while (path_.size() > 1 && path_.ends_with('/')) path_.pop_back();
}

std::string directory::path_of(std::string_view name) const {
  return fmt::format("{}{}{}", path_, path_.ends_with('/') ? "" : "/", name);
}

detail::request_path directory::entry(std::string_view name) const {
  std::string path = path_of(name);
  const std::size_t begin = path.size() - name.size();
  return {.text = std::move(path), .begin = begin};
}

detail::open_wait directory::open_file(std::string_view name, open_options options) const {
  return {entry(name), options, detail::handle_here(io_, handle_)};
}

detail::done_wait directory::rename(std::string_view from, std::string_view to) const {
  return {detail::rename_kind, io_op::rename, detail::handle_here(io_, handle_), entry(from),
          entry(to)};
}

detail::done_wait directory::remove(std::string_view name) const {
  return {detail::remove_kind, io_op::remove, detail::handle_here(io_, handle_), entry(name)};
}

detail::done_wait directory::sync() const {
  return {detail::sync_dir_kind, io_op::sync_dir, detail::handle_here(io_, handle_), entry("")};
}

void directory::close() noexcept {
  if (handle_ >= 0) io_->close_now(std::exchange(handle_, -1));
}

detail::done_wait rename_path(std::string from, std::string to) noexcept {
  return {detail::rename_kind, io_op::rename, std::move(from), std::move(to)};
}

detail::done_wait remove_path(std::string path) noexcept {
  return {detail::remove_kind, io_op::remove, std::move(path)};
}

detail::done_wait remove_dir(std::string path) noexcept {
  return std::move(detail::done_wait(detail::remove_kind, io_op::remove, std::move(path)).with(1));
}

detail::done_wait make_dir(std::string path, std::uint32_t mode) noexcept {
  return std::move(
      detail::done_wait(detail::make_dir_kind, io_op::make_dir, std::move(path)).with_mode(mode));
}

detail::done_wait sync_dir(std::string path) noexcept {
  return {detail::sync_dir_kind, io_op::sync_dir, std::move(path)};
}

std::vector<std::string> list_dir(const std::string& path) {
  struct gathered {
    std::vector<std::string> names;
    std::exception_ptr failure;  // of memory, which must not go through the driver
  } all;
  const auto visit = [](void* context, const char* name) {
    auto& into = *static_cast<gathered*>(context);
    if (into.failure) return;
    try {
      into.names.emplace_back(name);
    } catch (const std::bad_alloc&) {
      into.failure = std::current_exception();
    }
  };
  if (detail::has_zero(path)) raise(detail::zero_byte("list", path));
  const int outcome = loop::current()->io().list_dir(path.c_str(), visit, &all);
  if (outcome < 0) raise(error::from_os(-outcome, fmt::format("list '{}'", path)));
  if (all.failure) std::rethrow_exception(all.failure);
  return std::move(all.names);
}

result<file_status> path_status(const std::string& path, std::source_location place) noexcept {
  if (detail::has_zero(path)) return fail(detail::zero_byte("status of", path, place));
  file_status status;
  const int outcome = loop::current()->io().status_of(path.c_str(), status);
  if (outcome < 0) return fail(detail::io_error(outcome, "status of", path.c_str(), place));
  return status;
}

}  // namespace weir
