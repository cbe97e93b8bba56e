// send_shared: sends bytes that the kernel may read by itself instead of copying them.
//
// The hard idea: a copy that is saved makes the memory the kernel's until the peer has the bytes,
// which may be long after the send. So it takes `bytes`, which keep their memory by themselves, and
// no view.
//
// When it pays: to peers behind a network card, from 64 KiB on it took 0.68 of the processor time
// of send(), with 1 MiB 0.40; to a peer on the same machine the kernel copies all the same, and it
// took about twice as much (docs/design/performance-net.md). Hence it is not what send() does.
#pragma once

#include <weir/base/buffer.hpp>
#include <weir/core/task.hpp>
#include <weir/io/socket.hpp>

#include <cstddef>

namespace weir {

/// Sends all of `data`, as send() does, without copying them where that can be: over io_uring and
/// TCP, from 64 KiB on. Otherwise it is send().
///
/// The bytes are kept until the kernel is done with them, also after a cancellation, an error and
/// the end of the socket: they must not change, and a block of the receive arena counts as in use.
/// The end of the loop's driver waits for it, for a second at most. A cancelled one has sent a
/// prefix: `sent` says how much, which is kept up to date.
[[nodiscard]] task<> send_shared(socket& to, bytes data, std::size_t* sent = nullptr);

}  // namespace weir
