// Any bytes as a snapshot of the broker: the input is a list of edits to a whole one, of which each
// changes a few bytes; then every checksum is made right, so that the fuzzer gets behind them.
// Loading must end within bounds of time and memory. What is taken may contradict itself: to find
// that out costs a scan of everything, which a start has no time for, and the checksums stand
// against damage. But nothing crashes, and when the state is sound after its next work, its own
// snapshot is taken, too.
#include <weir/broker/broker_snapshot.hpp>

#include <weir/base/assert.hpp>
#include <weir/base/crc32c.hpp>
#include <weir/broker/broker_state.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace weir {
namespace {

constexpr std::size_t slice_head_bytes = 8;

class builder {
  template <class Command>
  auto run(const Command& command) {
    record_batch batch;
    auto outcome = state_.decide(command, now_, batch);
    WEIR_ASSERT(outcome.has_value());
    for (std::size_t i = 0; i < batch.size(); ++i) {
      place_ = {1, place_.offset + place_.size, 100};
      WEIR_ASSERT(state_.apply(batch[i], place_));
    }
    state_.set_durable(location::last());
    return outcome;
  }

  template <class Command>
  void must(const Command& command) {
    static_cast<void>(run(command));
  }

 public:
  builder() : state_({1, 2}, {}) {
    queue_settings settings;
    settings.attempts = 1;
    settings.push = push_settings{.url = "http://worker"};
    must(put_queue{.name = "q", .settings = settings});
    for (const char* key : {"a", "b", "c", "d"}) {
      must(submit_message{.queue = "q", .body = "body", .key = key, .reply_to = "http://r"});
    }
    must(submit_message{.queue = "q", .body = "late", .delay = duration::seconds(1)});
    const auto taken = run(lease_messages{.queue = "q", .max = 3});
    must(ack_lease{.lease = taken->at(0).lease, .result = "result"});
    must(reject_lease{.lease = taken->at(1).lease, .error = "no good"});
  }

  std::string file(std::size_t budget) const {
    snapshot_writer writer(state_);
    std::string all;
    while (!writer.is_finished()) all += writer.next(budget);
    return all;
  }

 private:
  broker_state state_;
  time_point now_{1'000'000'000};
  location place_{1, 0, 0};
};

/// Walks over the slices as their lengths say and puts the right checksums.
void seal(std::string& file) {
  for (std::size_t at = 0; at + slice_head_bytes <= file.size();) {
    std::uint32_t length = 0;
    std::memcpy(&length, file.data() + at, sizeof length);
    if (length > file.size() - at - slice_head_bytes) return;
    const std::uint32_t sum = crc32c(std::string_view(file).substr(at + slice_head_bytes, length));
    std::memcpy(file.data() + at + 4, &sum, sizeof sum);
    at += slice_head_bytes + length;
  }
}

/// Puts a number at its end, or one near it.
void put_extreme(std::string& file, std::size_t at, unsigned which, unsigned around) {
  constexpr std::uint64_t ends[] = {
      0,
      std::uint64_t{1} << 63,
      INT64_MAX,
      UINT64_MAX,
      UINT32_MAX,
      (std::uint64_t{1} << 48) - 1,
      std::uint64_t{1} << 62,
      0x7ff8'0000'0000'0000,  // not a number, as a double
  };
  const std::uint64_t value =
      ends[which % 8] + static_cast<std::uint64_t>(static_cast<std::int8_t>(around));
  if (at + 8 <= file.size()) std::memcpy(file.data() + at, &value, 8);
}

/// One edit is five bytes: what, where (2), and two bytes of content.
void edit(std::string& file, std::string_view five) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(five[i]); };
  const std::size_t at = std::min<std::size_t>(byte(1) * 256u + byte(2), file.size());
  if (byte(0) >= 128) return put_extreme(file, at, byte(3), byte(4));
  switch (byte(0) % 4) {
    case 0:
      for (std::size_t i = 0; i < 2 && at + i < file.size(); ++i) file[at + i] = five[3 + i];
      break;
    case 1:
      file.insert(at, file.substr(std::min<std::size_t>(byte(3), file.size()), byte(4)));
      break;
    case 2:
      file.erase(at, byte(4));
      break;
    default:
      file.resize(at);
      break;
  }
}

bool load(broker_state& state, std::string_view file, std::size_t piece) {
  snapshot_loader loader(state);
  for (; !file.empty(); file.remove_prefix(std::min(piece, file.size()))) {
    if (!loader.feed(file.substr(0, piece))) return false;
  }
  return loader.finish().has_value();
}

void try_input(std::string_view input) {
  if (input.empty()) return;
  const auto first = static_cast<unsigned char>(input[0]);
  input.remove_prefix(1);
  static const builder source;
  std::string file = source.file(first % 2 == 0 ? 40 : 4'000);
  for (int edits = 0; input.size() >= 5 && edits < 32; ++edits, input.remove_prefix(5)) {
    edit(file, input.substr(0, 5));
  }
  if (first % 8 != 7) seal(file);
  broker_state state({1, 2}, {});
  if (!load(state, file, 1 + first / 8 * 40u)) return;
  record_batch batch;
  static_cast<void>(state.tick(time_point(2'000'000'000'000'000'000), 100, batch));
  location place{9, 0, 10};
  for (std::size_t i = 0; i < batch.size(); ++i) {
    place.offset += 10;
    if (!state.apply(batch[i], place)) return;
  }
  if (!state.audit().empty()) return;
  snapshot_writer writer(state);
  std::string again;
  while (!writer.is_finished()) again += writer.next(100);
  broker_state copy({1, 2}, {});
  WEIR_ASSERT(load(copy, again, again.size()) && copy.audit().empty());
}

}  // namespace
}  // namespace weir

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  weir::try_input({reinterpret_cast<const char*>(data), size});
  return 0;
}
