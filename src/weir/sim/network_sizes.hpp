// How much the kernel of a simulated machine takes before who gives it something has to wait, which
// no program may rely on. The hard idea: a run draws each size, the plain one or a smaller one down
// to 1; but what was drawn small grows with what goes through it, as kernels' buffers do. So what
// waits for room is met at the beginning of each stream, and a megabyte through a buffer of one
// byte takes some hundreds of pieces and no million.
#pragma once

#include <weir/sim/choice.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

namespace weir {

/// What a kernel takes. 1 is legal for each.
struct network_sizes {
  std::size_t socket_buffer = 64 * 1024;  // bytes on their way in one direction of a stream
  std::size_t pipe_buffer = 64 * 1024;
  std::size_t accept_queue = SIZE_MAX;  // connections that nobody has accepted; never more than
                                        // their listener asks for
};

/// The sizes of one run: `plain` ones in the run in order, and each in half of the others.
network_sizes draw_sizes(choices& from, const network_sizes& plain);

/// A decision of kind `size` in words, "socket buffers of 64 bytes"; of the plain one nothing.
std::string size_text(const choice& made);
/// The same of all that is less than plain, with commas between; empty: nothing is.
std::string size_text(const network_sizes& drawn, const network_sizes& plain);

namespace detail {

/// How many bytes may lie in a buffer.
struct buffer_size {
  std::size_t first = 0;
  std::size_t grows_to = 0;  // 0: not at all

  static constexpr std::uint64_t bytes_a_growth = 32;  // that go through it, for one byte of room
  std::size_t after(std::uint64_t passed) const noexcept {
    if (first >= grows_to) return first;
    return static_cast<std::size_t>(
        std::min<std::uint64_t>(grows_to, first + passed / bytes_a_growth));
  }
};

}  // namespace detail
}  // namespace weir
