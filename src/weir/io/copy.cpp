#include <weir/io/copy.hpp>

#include <weir/base/buffer.hpp>
#include <weir/base/defect.hpp>
#include <weir/io/internal/side_error.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <limits>
#include <utility>

namespace weir::detail {

namespace {

/// One block on its way from a source to a sink: whatever ends its send, it is counted, and what
/// was not sent goes back if the source can take it.
struct block_in_flight {
  source_ref from;
  copy_progress& progress;
  bytes block;
  std::size_t sent = 0;

  block_in_flight(source_ref of, copy_progress& told, bytes what) noexcept
      : from(of), progress(told), block(std::move(what)) {
    progress.received += block.size();
  }
  block_in_flight(const block_in_flight&) = delete;
  block_in_flight& operator=(const block_in_flight&) = delete;
  ~block_in_flight() {
    progress.sent += sent;
    const std::size_t rest = block.size() - sent;
    if (is_planted("io: what a copy has read and not sent is dropped")) return;
    if (rest != 0 && from.put_back(block.slice(sent))) progress.received -= rest;
  }
};

task<bytes> receive_for_copy(source_ref from, const copy_progress& progress) {
  std::exception_ptr failure;
  try {
    co_return co_await from.receive();
  } catch (...) {
    failure = std::current_exception();
  }
  raise(side_error("copy", "source", progress.sent, failure));
}

task<> send_for_copy(sink_ref to, block_in_flight& one, std::size_t count) {
  std::exception_ptr failure;
  try {
    const io_slice piece{one.block.data(), count};
    co_await to.send({&piece, 1}, &one.sent);
    co_return;
  } catch (...) {
    failure = std::current_exception();
  }
  raise(side_error("copy", "sink", one.progress.sent + one.sent, failure));
}

}  // namespace

task<std::uint64_t> copy_bytes(source_ref from, sink_ref to, copy_progress* progress) {
  copy_progress own;
  copy_progress& told = progress ? *progress : own;
  told = {};
  for (;;) {
    block_in_flight one(from, told, co_await receive_for_copy(from, told));
    if (one.block.empty()) co_return told.sent;
    co_await send_for_copy(to, one, one.block.size());
  }
}

task<std::uint64_t> copy_count(source_ref from, sink_ref to, std::uint64_t count,
                               copy_progress* progress) {
  copy_progress own;
  copy_progress& told = progress ? *progress : own;
  told = {};
  while (told.sent < count) {
    block_in_flight one(from, told, co_await receive_for_copy(from, told));
    if (one.block.empty()) {
      raise(error(errc::end_of_stream,
                  fmt::format("copy: the source ended after {} of {} bytes", told.sent, count)));
    }
    const std::uint64_t left = count - told.sent;
    co_await send_for_copy(
        to, one, static_cast<std::size_t>(std::min<std::uint64_t>(one.block.size(), left)));
  }
  co_return told.sent;
}

}  // namespace weir::detail
