#include <weir/io/pipe_ends.hpp>

#include <weir/base/error.hpp>

namespace weir {

pipe_ends make_pipe() {
  driver& io = loop::current()->io();
  io_handle ends[2];
  const int outcome = io.make_pipe(ends);
  if (outcome < 0) raise(error::from_os(-outcome, "make a pipe"));
  return {.reader = pipe_reader(io, ends[0]), .writer = pipe_writer(io, ends[1])};
}

}  // namespace weir
