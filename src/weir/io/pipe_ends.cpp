#include <weir/io/pipe_ends.hpp>

#include <weir/base/error.hpp>
#include <weir/io/terminal_stream.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>

namespace weir {

namespace {

const char* use_instead(io_handle of, const struct stat& what) noexcept {
  if (is_tty(of)) return "a terminal: use open_terminal()";
  if (S_ISREG(what.st_mode)) return "a file: use open_file() with /dev/stdin or its path";
  if (S_ISSOCK(what.st_mode)) return "a socket: use wait_readable() and wait_writable()";
  return "none";
}

io_handle open_anew(driver& io, io_handle of, int mode) {
  const std::string doing = fmt::format("open the pipe of descriptor {}", of);
  if (!io.has_descriptors())
    raise(error(errc::unsupported, fmt::format("{}: the driver '{}' has none", doing, io.name())));
  struct stat what = {};
  if (::fstat(of, &what) != 0) raise(error::from_os(errno, doing));
  if (!S_ISFIFO(what.st_mode))
    raise(error(errc::invalid_argument, fmt::format("{}: it is {}", doing, use_instead(of, what))));
  const int made =
      ::open(fmt::format("/proc/self/fd/{}", of).c_str(), mode | O_NONBLOCK | O_CLOEXEC);
  if (made < 0 && errno == ENXIO)
    raise(error(errc::broken, fmt::format("{}: nobody reads from it", doing)));
  if (made < 0) raise(error::from_os(errno, doing));
  if (const int outcome = io.adopt_stream(made); outcome < 0) {
    ::close(made);
    raise(error::from_os(-outcome, doing));
  }
  return made;
}

}  // namespace

pipe_reader open_pipe_reader(io_handle of) {
  driver& io = loop::current()->io();
  return pipe_reader(io, open_anew(io, of, O_RDONLY));
}

pipe_writer open_pipe_writer(io_handle of) {
  driver& io = loop::current()->io();
  return pipe_writer(io, open_anew(io, of, O_WRONLY));
}

pipe_ends make_pipe() {
  driver& io = loop::current()->io();
  io_handle ends[2];
  const int outcome = io.make_pipe(ends);
  if (outcome < 0) raise(error::from_os(-outcome, "make a pipe"));
  return {.reader = pipe_reader(io, ends[0]), .writer = pipe_writer(io, ends[1])};
}

}  // namespace weir
