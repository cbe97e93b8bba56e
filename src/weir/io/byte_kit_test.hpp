// For tests only: a source and a sink that do as they are told and write down what is asked of
// them.
#pragma once

#include <weir/base/buffer.hpp>
#include <weir/base/error.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/task.hpp>
#include <weir/io/byte_stream.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weir::testing {

/// Gives its pieces one by one, each after a pause; then it fails, or ends.
struct told_source {
  std::vector<std::string> pieces{};
  errc failure{};               // after the last piece; none: the end of the stream
  duration pause{};             // before each piece, and before the end
  bool waits_for_ever = false;  // instead of an end
  bool takes_back = true;

  std::size_t given = 0;
  std::size_t asked = 0;
  std::size_t bytes_given = 0;
  std::vector<std::string> events{};  // "cancel timed_out"

  task<bytes> receive() {
    ++asked;
    co_await sleep(pause);
    if (given < pieces.size()) {
      const std::string& piece = pieces[given++];
      bytes_given += piece.size();
      co_return bytes::copy_of(piece);
    }
    if (waits_for_ever) co_await sleep_until(time_point::never());
    if (failure != errc{}) raise(error(failure, "as told"));
    co_return bytes();
  }
  bool put_back(const bytes& rest) {
    if (!takes_back) return false;
    pieces.insert(pieces.begin() + static_cast<std::ptrdiff_t>(given), std::string(rest.text()));
    bytes_given -= rest.size();
    return true;
  }
  void cancel(const error& why) { events.push_back("cancel " + std::string(name(why.code()))); }
  /// What is still to be received.
  std::string rest() const {
    std::string all;
    for (std::size_t i = given; i < pieces.size(); ++i) all += pieces[i];
    return all;
  }
};

/// Takes bytes in parts, each after a pause; fails once it has taken `fails_after`.
struct told_sink {
  std::size_t part_max = std::string::npos;
  duration pause{};
  duration end_pause{};  // one more before the end is told
  std::size_t fails_after = std::string::npos;
  errc failure = errc::broken;
  errc end_failure{};    // of shutdown_send()
  errc abort_failure{};  // of abort()

  std::string got{};
  std::size_t sends = 0;
  std::vector<std::string> events{};  // "end", "abort io"
  bool has_ended = false;             // shutdown_send() was not cancelled

  task<> send(std::span<const io_slice> what, std::size_t* sent) {
    ++sends;
    if (sent) *sent = 0;
    for (const io_slice& slice : what) {
      std::string_view rest(static_cast<const char*>(slice.data), slice.size);
      while (!rest.empty()) {
        co_await sleep(pause);
        if (got.size() >= fails_after) raise(error(failure, "as told"));
        const std::size_t now = std::min({rest.size(), part_max, fails_after - got.size()});
        got += rest.substr(0, now);
        rest.remove_prefix(now);
        if (sent) *sent += now;
      }
    }
  }
  task<> shutdown_send() {
    events.emplace_back("end");
    co_await sleep(pause + end_pause);
    if (end_failure != errc{}) raise(error(end_failure, "as told"));
    has_ended = true;
  }
  task<> abort(error why) {
    events.push_back("abort " + std::string(name(why.code())));
    co_await sleep(pause);
    if (abort_failure != errc{}) raise(error(abort_failure, "as told"));
  }
};

}  // namespace weir::testing
