// A record whose checksum is right and that no broker wrote: an opening names it and ends, and with
// `--accept-loss` leaves it out.
#include <weir/broker/broker.hpp>

#include <weir/broker/internal/broker_kit.hpp>
#include <weir/core.hpp>
#include <weir/store/journal_format.hpp>
#include <weir/testing/test.hpp>

#include <string>
#include <string_view>

namespace weir::broker_odd_record_test {
namespace {

using detail::small_broker;
using detail::submit_text;
using detail::with_broker;

/// A segment in which the `nth` submit record has no number; all checksums are right.
std::string with_odd_submit(std::string content, int nth) {
  constexpr std::size_t number_at = 1;  // behind the version
  detail::segment_header segment;
  EXPECT_TRUE(detail::decode(content, segment));
  std::uint32_t prev_crc = segment.crc;
  for (std::uint64_t at = detail::segment_header::size;;) {
    const std::string here = content.substr(at);
    detail::parsed_batch batch = detail::parse_batch(here, at, content.size());
    if (batch.state != detail::batch_state::whole) return content;
    detail::record_cursor records(batch, segment.number);
    record_view record;
    location where;
    while (records.next(record, where)) {
      const bool is_submit = record.kind == static_cast<std::uint8_t>(record_kind::submit);
      if (!is_submit || --nth != 0) continue;
      std::string odd(record.payload);
      odd.replace(number_at, sizeof(std::uint64_t), sizeof(std::uint64_t), '\0');
      detail::encode_record({record.kind, odd}, segment.epoch, where.offset,
                            content.data() + where.offset);
    }
    batch.header.prev_crc = prev_crc;
    prev_crc = detail::seal_batch(batch.header, content.data() + at);
    at = detail::align_batch(at + batch.header.length);
  }
}

WEIR_TEST("a record that holds impossible values is left out with accept_loss, and no other") {
  std::string ids[3];
  co_await with_broker(small_broker(), [&](broker& b) -> task<> {
    co_await b.put_queue("q", {});
    for (std::string& id : ids) id = co_await submit_text(b, "q", "x");
  });
  const std::string path = "/data/" + detail::segment_name(1);
  virtual_disk& disk = testing::world().disk();
  EXPECT_EQ(disk.set_content(path.c_str(), with_odd_submit(*disk.content_of(path.c_str()), 2)), 0);
  co_await testing::expect_raises(errc::malformed, broker::open(small_broker()));
  broker_options accepting = small_broker();
  accepting.journal.accept_loss = true;
  co_await with_broker(accepting, [&](broker& b) -> task<> {
    EXPECT_EQ(b.log().recovery().records_lost, 1u);
    EXPECT_TRUE(co_await b.message(ids[0]));
    EXPECT_FALSE(co_await b.message(ids[1]));
    EXPECT_TRUE(co_await b.message(ids[2]));
    co_await submit_text(b, "q", "y");
  });
  co_await with_broker(small_broker(), [&](broker& b) -> task<> {
    EXPECT_EQ(b.queue("q")->ready, 3u);
    co_return;
  });
}

}  // namespace
}  // namespace weir::broker_odd_record_test
