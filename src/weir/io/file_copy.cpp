#include <weir/io/file_copy.hpp>

#include <weir/base/error.hpp>
#include <weir/core/sleep.hpp>
#include <weir/io/blocking.hpp>
#include <weir/io/detail/file_offset.hpp>
#include <weir/io/internal/file_sends.hpp>
#include <weir/io/internal/side_error.hpp>
#include <weir/io/readiness.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <memory>
#include <optional>
#include <string_view>
#include <tuple>

namespace weir::detail {

namespace {

constexpr std::size_t read_bytes_max = std::size_t{128} << 10;

std::uint64_t end_of(const file& from, const char* verb, std::uint64_t offset,
                     std::uint64_t count) {
  const std::uint64_t size = from.size();
  if (count == to_file_end) return std::max(size, offset);
  if (offset <= size && count <= size - offset) return offset + count;
  raise(error(errc::end_of_stream, fmt::format("{}: the file has {} bytes, not {} from {} on", verb,
                                               size, count, offset)));
}

/// Where a copy is. What it counts is right whatever ends it.
struct course {
  const char* verb;
  copy_progress own = {};
  copy_progress& told;
  std::uint64_t at;
  std::uint64_t end = 0;
  std::unique_ptr<char[]> memory = nullptr;  // once something is read

  template <class Options>
  course(const char* name, const file& from, const Options& options)
      : verb(name), told(options.progress ? *options.progress : own), at(options.offset) {
    told = {};
    end = end_of(from, verb, options.offset, options.count);
  }
  course(const course&) = delete;
  course& operator=(const course&) = delete;

  std::size_t next_piece(std::size_t bytes_max) const noexcept {
    return static_cast<std::size_t>(
        std::min<std::uint64_t>(end - at, std::max<std::size_t>(bytes_max, 1)));
  }
  void advance(std::uint64_t count) noexcept {
    at += count;
    told.received += count;
    told.sent += count;
  }
};

/// Counts what a send took, also when it is cancelled.
struct counted_send {
  course& of;
  std::size_t sent = 0;

  explicit counted_send(course& all) noexcept : of(all) {}
  counted_send(const counted_send&) = delete;
  counted_send& operator=(const counted_send&) = delete;
  ~counted_send() { of.advance(sent); }
};

task<std::size_t> read_piece(file& from, course& all) {
  if (!all.memory) all.memory = std::make_unique_for_overwrite<char[]>(read_bytes_max);
  std::exception_ptr failure;
  std::size_t size = 0;
  try {
    size = co_await from.read_at(all.at, {all.memory.get(), all.next_piece(read_bytes_max)});
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) raise(side_error(all.verb, "source", all.told.sent, failure));
  if (size == 0) {
    raise(error(errc::end_of_stream, fmt::format("{}: the file was cut: it ended after {} bytes",
                                                 all.verb, all.told.sent)));
  }
  co_return size;
}

task<> read_and_send(file& from, sink_ref to, course& all, file_send_mark& mark) {
  const std::size_t size = co_await read_piece(from, all);
  const io_slice bytes{.data = all.memory.get(), .size = size};
  counted_send counted(all);
  std::exception_ptr failure;
  mark.pause();
  try {
    co_await to.send({&bytes, 1}, &counted.sent);
  } catch (...) {
    failure = std::current_exception();
  }
  mark.go_on();
  if (failure) raise(side_error(all.verb, "sink", all.told.sent + counted.sent, failure));
}

task<> read_and_write(file& from, file& to, std::uint64_t target_at, course& all) {
  const std::size_t size = co_await read_piece(from, all);
  std::exception_ptr failure;
  try {
    co_await to.write_at(target_at, std::string_view(all.memory.get(), size));
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) raise(side_error(all.verb, "sink", all.told.sent, failure));
  all.advance(size);
}

// A piece is long enough for a turn of the loop. yield() would not end it: the loop looks at its
// clock after 16 steps, and so much would leave before anybody else is heard of.
auto next_turn() noexcept { return sleep(duration(1)); }

task<> wait_for_room(const descriptor_sink& to, const course& all) {
  std::exception_ptr failure;
  try {
    std::ignore = co_await wait_writable(to.handle());
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) raise(side_error(all.verb, "sink", all.told.sent, failure));
}

/// A file for a thread of the pool, which the loop may close meanwhile.
class own_descriptor {
 public:
  explicit own_descriptor(const file& of) noexcept
      : number_(::fcntl(of.handle(), F_DUPFD_CLOEXEC, 0)) {}
  own_descriptor(const own_descriptor&) = delete;
  own_descriptor& operator=(const own_descriptor&) = delete;
  ~own_descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  int number() const noexcept { return number_; }

 private:
  int number_;
};

bool is_same_file(const file& a, const file& b) noexcept {
  if (a.handle() == b.handle()) return true;
  driver& io = loop::current()->io();
  file_status first;
  file_status second;
  return io.status_of(a.handle(), first) == 0 && io.status_of(b.handle(), second) == 0 &&
         first.is_same_file(second);
}

void refuse_overlap(const file& from, const file& to, const course& all, std::uint64_t target_at) {
  const std::uint64_t size = all.end - all.at;
  const std::uint64_t apart = std::max(all.at, target_at) - std::min(all.at, target_at);
  if (apart >= size || !is_same_file(from, to)) return;
  raise(error(errc::invalid_argument, "copy_file: the two ranges overlap in one file"));
}

void refuse_closed(const file& from, const file& to, const course& all) {
  if (from && to) return;
  raise(error(errc::closed, fmt::format("copy_file: the {} was closed after {} bytes",
                                        from ? "target" : "source", all.told.sent)));
}

/// `to_file_end` is such an offset, and is none: it counts bytes.
void refuse_beyond(std::uint64_t source_at, std::uint64_t target_at, const course& all) {
  if (!is_beyond_files(source_at) && !is_beyond_files(target_at, all.end - all.at)) return;
  raise(error(errc::invalid_argument,
              fmt::format("{}: a file has no offset beyond {}, and the {} would be at {}", all.verb,
                          offset_max, source_at > offset_max ? "source" : "target",
                          source_at > offset_max ? source_at : target_at)));
}

/// A connection tells its error once, so the next send would have another or none.
void refuse_failed_peer(std::int64_t outcome, const course& all) {
  for (const int number : {ECONNRESET, EPIPE, ETIMEDOUT, EHOSTUNREACH, ENETUNREACH}) {
    if (outcome != -number) continue;
    const error failure = error::from_os(number, "sendfile");
    raise(side_error(all.verb, "sink", all.told.sent, std::make_exception_ptr(exception(failure))));
  }
}

}  // namespace

// What the kernel refuses is tried by reading and writing: other file systems, devices, filters of
// system calls and a full disk each have error numbers of their own, and ours says the side as
// well.
task<std::uint64_t> copy_file_by(file& from, file& to, copy_file_options options,
                                 copy_range_call call) {
  course all("copy_file", from, options);
  refuse_closed(from, to, all);
  refuse_beyond(options.offset, options.target_offset, all);
  refuse_overlap(from, to, all, options.target_offset);
  co_await checkpoint();
  bool is_by_kernel = loop::current()->io().has_descriptors();
  std::optional<own_descriptor> source;
  std::optional<own_descriptor> target;
  if (is_by_kernel) {
    source.emplace(from);
    target.emplace(to);
  }
  while (all.at < all.end) {
    const std::uint64_t target_at = options.target_offset + (all.at - options.offset);
    if (is_by_kernel) {
      refuse_closed(from, to, all);
      const std::size_t size = all.next_piece(options.piece_bytes);
      const std::int64_t moved = co_await blocking(
          [&] { return call(source->number(), all.at, target->number(), target_at, size); });
      if (moved > 0) all.advance(static_cast<std::uint64_t>(moved));
      is_by_kernel = moved > 0;
    } else {
      co_await read_and_write(from, to, target_at, all);
    }
  }
  co_return all.told.sent;
}

task<std::uint64_t> send_file_by(file& from, descriptor_sink to, send_file_options options,
                                 send_range_call call) {
  course all("send_file", from, options);
  refuse_beyond(options.offset, 0, all);
  co_await checkpoint();
  const driver& io = loop::current()->io();
  bool is_by_kernel = io.has_descriptors();
  file_send_mark mark(io, to);
  while (all.at < all.end) {
    const std::size_t size = all.next_piece(options.piece_bytes);
    if (!is_by_kernel || !is_in_memory(from.handle(), all.at, size)) {
      co_await read_and_send(from, to.bytes, all, mark);
      continue;
    }
    const std::int64_t moved = call(from.handle(), all.at, to.handle(), size);
    if (moved > 0) {
      all.advance(static_cast<std::uint64_t>(moved));
      co_await next_turn();
    } else if (moved == -EAGAIN) {
      co_await wait_for_room(to, all);
    } else {
      refuse_failed_peer(moved, all);
      is_by_kernel = false;  // as in copy_file_by()
    }
  }
  co_return all.told.sent;
}

task<std::uint64_t> send_file_to(file& from, sink_ref to, send_file_options options) {
  course all("send_file", from, options);
  refuse_beyond(options.offset, 0, all);
  co_await checkpoint();
  file_send_mark mark(to);
  while (all.at < all.end) co_await read_and_send(from, to, all, mark);
  co_return all.told.sent;
}

}  // namespace weir::detail
