// Any bytes as a journal: records that a damaged or foreign file could hold must be refused or
// applied, never break the state. Each record is: kind and which number at its end, 2 bytes of
// length and where that number is put, payload. What was taken must go on: time passes, messages
// are taken and come back, and the state's own snapshot can be loaded.
#include <weir/broker/broker_record.hpp>

#include <weir/base/assert.hpp>
#include <weir/broker/broker_snapshot.hpp>
#include <weir/broker/broker_state.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace weir {
namespace {

constexpr time_point late(1'800'000'000'000'000'000);

/// Numbers at their ends; 0 leaves the payload as it is.
void put_extreme(std::string& payload, unsigned which, std::size_t at) {
  constexpr std::uint64_t ends[] = {
      0,
      std::uint64_t{1} << 63,
      INT64_MAX,
      UINT64_MAX,
      UINT32_MAX,
      UINT32_MAX - 1,
      std::uint64_t{1} << 62,
      0x7ff8'0000'0000'0000,  // not a number, as a double
  };
  if (which == 0 || at + 8 > payload.size()) return;
  std::memcpy(payload.data() + at, &ends[which], 8);
}

class machine {
  void apply_batch() {
    for (std::size_t i = 0; i < batch_.size(); ++i) {
      where_.offset += where_.size;
      where_.size = 10;
      const auto applied = state_.apply(batch_[i], where_);
      WEIR_ASSERT(applied && "what was decided can be applied");
    }
    state_.set_durable(location::last());
  }

  void tick() {
    batch_.clear();
    static_cast<void>(state_.tick(now_, 100, batch_));
    apply_batch();
    static_cast<void>(state_.next_due());
  }

  template <class Command>
  auto run(const Command& command) {
    batch_.clear();
    auto outcome = state_.decide(command, now_, batch_);
    if (!outcome) batch_.clear();
    apply_batch();
    return outcome;
  }

  void use(const std::string& queue) {
    static_cast<void>(run(submit_message{.queue = queue, .body = "body", .key = "key"}));
    const auto taken =
        run(lease_messages{.queue = queue, .max = 4, .lease = duration::seconds(10)});
    for (std::size_t i = 0; taken && i < taken->size(); ++i) {
      const receipt lease = (*taken)[i].lease;
      static_cast<void>(state_.find_message(lease.sequence, now_));
      static_cast<void>(run(extend_lease{.lease = lease}));
      if (i == 0) static_cast<void>(run(nack_lease{.lease = lease}));
      if (i == 1) static_cast<void>(run(ack_lease{.lease = lease}));
      if (i == 2) static_cast<void>(run(reject_lease{.lease = lease}));
    }
    static_cast<void>(run(redrive_queue{.queue = queue}));
  }

 public:
  machine() : state_({1, 2}, {}) {}

  void apply(record_kind kind, std::string_view payload) {
    where_.offset += where_.size;
    where_.size = static_cast<std::uint32_t>(payload.size() + 3);
    static_cast<void>(state_.apply({kind, payload}, where_));
    now_ = now_ + duration::milliseconds(1);
    batch_.clear();
    static_cast<void>(state_.tick(now_, 10, batch_));
  }

  void go_on() {
    now_ = late;
    for (int i = 0; i < 4; ++i) {
      tick();
      for (const queue_info& queue : state_.queues({}, 4)) use(std::string(queue.name));
      for (const pending_reply& reply : state_.take_replies(now_, 4)) {
        const auto outcome = i % 2 == 0 ? reply_outcome::failed : reply_outcome::busy;
        static_cast<void>(run(
            settle_reply{.sequence = reply.sequence, .token = reply.token, .outcome = outcome}));
      }
      now_ = now_ + duration::seconds(100);
    }
  }

  void check() const {
    WEIR_ASSERT(state_.audit().empty());
    static_cast<void>(state_.describe(now_));
    snapshot_writer writer(state_);
    broker_state copy({1, 2}, {});
    snapshot_loader loader(copy);
    while (!writer.is_finished()) WEIR_ASSERT(loader.feed(writer.next(1'000)));
    WEIR_ASSERT(loader.finish() && copy.audit().empty());
    for (const std::uint32_t segment : state_.live_segments()) {
      WEIR_ASSERT(copy.live_bytes(segment) == state_.live_bytes(segment));
    }
  }

 private:
  broker_state state_;
  record_batch batch_;
  location where_{1, 0, 0};
  time_point now_{1'000'000};
};

void try_input(std::string_view rest) {
  constexpr std::size_t head = 3;
  machine under_test;
  while (rest.size() >= head) {
    const auto kind = static_cast<record_kind>(rest[0] & 15);
    const auto which = static_cast<unsigned char>(rest[0]) / 16u % 8;
    const auto third = static_cast<unsigned char>(rest[2]);
    const std::size_t length = static_cast<unsigned char>(rest[1]) | (third & 1u) << 8;
    rest.remove_prefix(head);
    std::string payload(rest.substr(0, length));
    rest.remove_prefix(payload.size());
    put_extreme(payload, which, third / 2);
    under_test.apply(kind, payload);
  }
  under_test.go_on();
  under_test.check();
}

}  // namespace
}  // namespace weir

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  weir::try_input({reinterpret_cast<const char*>(data), size});
  return 0;
}
