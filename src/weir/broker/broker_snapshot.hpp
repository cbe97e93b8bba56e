// A snapshot of the broker's state, so that recovery reads a tail of the journal and not all of it.
// The hard idea: it is fuzzy. The writer hands out slices while the state goes on changing between
// them, and no part is frozen or copied; what it says of a message may be older or newer than what
// it says of another. Replaying all records since the snapshot's start makes it exact, because
// records say outcomes: a message that the snapshot shows in a later state is led through its
// history to that state again, and one that the snapshot lacks is made, or was over anyway.
//
//   journal  ---[a b c]----[d e f g h i]---->      replay after a snapshot: d to i
//                     ^start          ^end          valid when i is durable
//
// Rules:
//  (R1) the snapshot counts only once every record up to end() is durable: it may hold effects of
//       records that a crash would otherwise take back;
//  (R2) records after start() stay in the journal as long as the snapshot counts;
//  (R3) replies come after messages: a message that is forgotten meanwhile leaves its reply behind.
//
// The layout is described in docs/design/formats/broker-snapshot.md.
#pragma once

#include <weir/base/result.hpp>
#include <weir/broker/broker_state.hpp>
#include <weir/store/location.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace weir {

namespace detail {
class field_reader;
}

/// Writes a snapshot in slices.
///
/// Cancel:  no waits; dropping the writer gives the snapshot up.
/// Order:   slices are written to one file in the order in which next() gave them.
/// Bound:   a slice is about as long as asked for; the first holds all queues' settings.
/// Errors:  std::bad_alloc.
/// Threads: one loop, the state's.
class snapshot_writer {
 public:
  /// Begins now: `state` must outlive the writer.
  explicit snapshot_writer(const broker_state& state);

  /// The next slice of about `budget` bytes; empty after the last. Call it between changes of the
  /// state, as often as you like.
  std::string next(std::size_t budget);

  bool is_finished() const noexcept { return part_ == part::finished; }
  /// The last record applied when the writer began: replay starts behind it.
  location start() const noexcept { return start_; }
  /// The last record applied when the last slice was made.
  location end() const noexcept { return end_; }

 private:
  enum class part : std::uint8_t { queues, messages, keys, replies, finished };

  void write_queues();
  void write_queue(const detail::message_queue& queue);
  void write_messages(std::size_t budget);
  void write_keys(std::size_t budget);
  void write_replies(std::size_t budget);
  void write_end();

  const broker_state& state_;
  location start_;
  location end_;
  part part_ = part::queues;
  std::uint32_t slot_ = 0;                            // the next one to look at
  std::uint64_t after_reply_ = 0;                     // replies up to this sequence are written
  std::unordered_set<std::uint32_t> queues_written_;  // by number
  std::uint64_t messages_ = 0;
  std::uint64_t keys_ = 0;
  std::uint64_t replies_ = 0;
  std::string slice_;
};

/// Reads a snapshot into a fresh state.
///
/// Cancel:  no waits.
/// Order:   bytes are fed in the order of the file, in pieces of any size.
/// Bound:   it holds at most one slice, 16 bytes a ready message and 24 for each other one.
/// Errors:  `corrupt` for bytes that are damaged, cut or foreign, `unsupported` for a newer format;
///          the state is then of no use.
/// Threads: one loop, the state's.
class snapshot_loader {
 public:
  /// `state` has applied nothing yet and outlives the loader.
  explicit snapshot_loader(broker_state& state);

  result<void> feed(std::string_view bytes);
  /// After the last byte: checks that the snapshot is whole and puts everything in its order.
  result<void> finish();

  location start() const noexcept { return start_; }
  location end() const noexcept { return end_; }

 private:
  result<void> read_slice(std::string_view slice);
  bool read_item(std::string_view& from);
  bool read_begin(detail::field_reader& read);
  bool read_message(detail::field_reader& read);

  struct loaded_reply {
    std::uint64_t sequence = 0;
    detail::reply_item item = {};
  };

  broker_state& state_;
  location start_;
  location end_;
  std::string rest_;  // bytes of a slice that is not whole yet
  struct ready_message {
    std::uint64_t sequence = 0;
    std::uint32_t slot = 0;
  };
  struct timed_message {
    detail::slot_key key = {};
    std::uint32_t slot = 0;
  };
  std::vector<ready_message> ready_;  // in their order of leaving when finish() has sorted them
  std::vector<timed_message> timed_;  // all others, by due time
  std::uint32_t last_slot_ = detail::no_slot;
  std::vector<loaded_reply> replies_;
  std::uint64_t messages_ = 0;
  std::uint64_t keys_ = 0;
  bool has_begun_ = false;
  bool has_ended_ = false;
  bool is_newer_ = false;
};

}  // namespace weir
