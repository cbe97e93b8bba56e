// The waits behind file.hpp: one request each, but a write, which takes as many as the disk wants.
#pragma once

#include <weir/io/io_wait.hpp>

#include <cstddef>
#include <cstdint>
#include <source_location>
#include <string>
#include <utility>

namespace weir {

class directory;
class file;
struct open_options;

namespace detail {

/// What a request is about: a path, or a name in an open directory with that one's path in front,
/// for messages.
struct request_path {
  std::string text = {};
  std::size_t begin = 0;  // of the name; 0: it is a path

  const char* c_str() const noexcept { return text.empty() ? nullptr : text.c_str() + begin; }
  /// It has a zero byte, or is a name that leads out of its directory.
  bool is_refused() const noexcept;
  error refusal(const char* what, std::source_location place) const noexcept;
  /// It is a name in a directory that was closed, whose place nothing else may take.
  bool is_homeless(io_handle directory) const noexcept { return begin != 0 && directory < 0; }
};

/// A request without a value: sync, rename, remove ... Owns the paths it works on.
class [[nodiscard]] done_wait final : public io_wait<done_wait, void> {
 public:
  done_wait(const wait_kind& of, io_op what, io_handle on) noexcept : io_wait(of) {
    op = what;
    handle = on;
  }
  done_wait(const wait_kind& of, io_op what, std::string from, std::string to = {}) noexcept
      : done_wait(of, what, -1, {std::move(from)}, {std::move(to)}) {}
  done_wait(const wait_kind& of, io_op what, io_handle in, request_path from,
            request_path to = {}) noexcept
      : done_wait(of, what, in) {
    from_ = std::move(from);
    to_ = std::move(to);
  }
  done_wait& with(std::uint32_t flag_bits, std::uint64_t at = 0, std::size_t length = 0) noexcept {
    flags = flag_bits;
    offset = at;
    size = length;
    return *this;
  }
  done_wait& with_mode(std::uint32_t bits) noexcept {
    mode = bits;
    return *this;
  }
  /// The file must not be one that is appended to.
  done_wait& unless(bool is_for_append) noexcept {
    is_at_wrong_place_ = is_for_append && handle >= 0;
    return *this;
  }
  bool try_now() noexcept;
  result<void> take() noexcept;

 private:
  request_path from_;
  request_path to_;
  bool is_at_wrong_place_ = false;
};

class [[nodiscard]] open_wait final : public io_wait<open_wait, file> {
 public:
  open_wait(request_path what, open_options options, io_handle in = -1) noexcept;
  bool try_now() noexcept;
  result<file> take() noexcept;

 private:
  request_path what_;
};

class [[nodiscard]] open_dir_wait final : public io_wait<open_dir_wait, directory> {
 public:
  explicit open_dir_wait(std::string name) noexcept;
  bool try_now() noexcept;
  result<directory> take() noexcept;

 private:
  request_path what_;
};

class [[nodiscard]] read_wait final : public io_wait<read_wait, std::size_t> {
 public:
  read_wait(io_handle from, std::uint64_t at, char* into, std::size_t length) noexcept;
  result<std::size_t> take() noexcept;
};

/// Writes all of it, however many system calls that takes.
class [[nodiscard]] write_wait final : public io_wait<write_wait, void> {
 public:
  static constexpr auto when_cancelled = cancel_safety::partial;
  enum class way : std::uint8_t { at_offset, at_offset_durably, at_end };
  /// `is_open_for_it`: a file is opened for one of the ways, at an offset or at the end.
  write_wait(io_handle to, std::uint64_t at, slice_cursor what, way how, bool is_open_for_it,
             std::size_t* written = nullptr) noexcept;
  bool try_now() noexcept;
  bool goes_on() noexcept;
  result<void> take() noexcept;

 private:
  bool is_refused() const noexcept { return handle >= 0 && !is_open_for_it_; }

  slice_cursor left_;
  std::uint64_t done_ = 0;
  std::size_t* written_;
  way how_;
  bool is_open_for_it_;
};

}  // namespace detail

}  // namespace weir
