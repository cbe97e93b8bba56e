#include <weir/store/journal_format.hpp>

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace weir::detail::journal_format_test {
namespace {

constexpr std::uint64_t epoch = 0x1122334455667788;
constexpr std::uint32_t offset = 64;
constexpr std::uint64_t capacity = 4096;

std::string make_batch(const std::vector<record_view>& records, batch_header header = {}) {
  std::string batch(batch_header::size, '\0');
  header.epoch = epoch;
  header.offset = offset;
  if (header.lsn_first == 0) header.lsn_first = 1;
  header.count = static_cast<std::uint32_t>(records.size());
  for (const record_view& one : records) {
    const std::size_t at = batch.size();
    batch.resize(at + record_framing_size + one.payload.size());
    encode_record(one, epoch, offset + static_cast<std::uint32_t>(at), batch.data() + at);
  }
  header.length = static_cast<std::uint32_t>(batch.size());
  seal_batch(header, batch.data());
  return batch;
}

TEST(journal_format, a_segment_header_reads_back_as_written) {
  char bytes[segment_header::size];
  encode(
      segment_header{
          .number = 7, .epoch = epoch, .lsn_first = 42, .capacity = capacity, .prev_crc = 99},
      bytes);
  segment_header read;
  ASSERT_TRUE(decode({bytes, sizeof bytes}, read));
  EXPECT_EQ(read.number, 7u);
  EXPECT_EQ(read.epoch, epoch);
  EXPECT_EQ(read.lsn_first, 42u);
  EXPECT_EQ(read.capacity, capacity);
  EXPECT_EQ(read.prev_crc, 99u);
}

TEST(journal_format, a_segment_header_with_any_bit_flipped_is_refused) {
  char bytes[segment_header::size];
  encode(segment_header{.number = 7, .epoch = epoch, .lsn_first = 42, .capacity = capacity}, bytes);
  for (std::size_t bit = 0; bit < sizeof bytes * 8; ++bit) {
    std::string damaged(bytes, sizeof bytes);
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    segment_header read;
    EXPECT_FALSE(decode(damaged, read)) << "bit " << bit;
  }
}

TEST(journal_format, a_segment_header_with_an_impossible_number_is_refused) {
  const segment_header whole{
      .number = 7, .epoch = epoch, .lsn_first = 42, .capacity = capacity, .prev_crc = 99};
  const auto is_read = [](const segment_header& header) {
    char bytes[segment_header::size];
    encode(header, bytes);
    segment_header read;
    return decode({bytes, sizeof bytes}, read);
  };
  EXPECT_TRUE(is_read(whole));
  for (auto change :
       {+[](segment_header& h) { h.number = 0; },
        +[](segment_header& h) { h.number = segment_number_max + 1; },
        +[](segment_header& h) { h.epoch = 0; }, +[](segment_header& h) { h.lsn_first = 0; },
        +[](segment_header& h) { h.lsn_first = lsn_max + 2; },
        +[](segment_header& h) { h.capacity = 0; },
        +[](segment_header& h) { h.capacity = segment_bytes_max + 1; }}) {
    segment_header other = whole;
    change(other);
    EXPECT_FALSE(is_read(other));
  }
}

TEST(journal_format, a_batch_with_impossible_record_numbers_is_refused) {
  const auto is_read = [](batch_header header) {
    return parse_batch(make_batch({{1, "a"}, {2, "b"}}, header), offset, capacity).state ==
           batch_state::whole;
  };
  EXPECT_TRUE(is_read({.lsn_first = lsn_max - 1, .lsn_durable = lsn_max - 2}));
  EXPECT_FALSE(is_read({.lsn_first = lsn_max}));
  EXPECT_FALSE(is_read({.lsn_first = UINT64_MAX}));
  EXPECT_FALSE(is_read({.lsn_first = 5, .lsn_durable = 5}));
}

TEST(journal_format, a_batch_gives_its_records_back_with_their_places) {
  const std::string big(1000, 'x');
  const std::string batch = make_batch({{1, "first"}, {255, ""}, {3, big}});
  const parsed_batch parsed = parse_batch(batch, offset, capacity);
  ASSERT_EQ(parsed.state, batch_state::whole);
  EXPECT_EQ(parsed.header.count, 3u);
  EXPECT_EQ(parsed.header.lsn_last(), 3u);
  record_cursor records(parsed, 9);
  record_view record;
  location where;
  ASSERT_TRUE(records.next(record, where));
  EXPECT_EQ(record.kind, 1);
  EXPECT_EQ(record.payload, "first");
  EXPECT_EQ(where, (location{9, offset + 48, 13}));
  ASSERT_TRUE(records.next(record, where));
  EXPECT_EQ(record.kind, 255);
  EXPECT_EQ(record.payload, "");
  ASSERT_TRUE(records.next(record, where));
  EXPECT_EQ(record.payload, big);
  EXPECT_EQ(where, (location{9, offset + 48 + 13 + 8, 1008}));
  EXPECT_FALSE(records.next(record, where));
  EXPECT_TRUE(records.rest.empty());
}

TEST(journal_format, a_batch_with_any_bit_flipped_is_refused) {
  const std::string batch = make_batch({{1, "first"}, {2, "second"}});
  for (std::size_t bit = 0; bit < batch.size() * 8; ++bit) {
    std::string damaged = batch;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_NE(parse_batch(damaged, offset, capacity).state, batch_state::whole) << "bit " << bit;
  }
}

TEST(journal_format, a_cut_batch_says_how_many_bytes_it_wants) {
  const std::string batch = make_batch({{1, "first"}});
  for (std::size_t size = 0; size < batch.size(); ++size) {
    const parsed_batch parsed =
        parse_batch(std::string_view(batch).substr(0, size), offset, capacity);
    EXPECT_EQ(parsed.state, batch_state::partial);
    EXPECT_EQ(parsed.wanted, size < batch_header::size ? batch_header::size : batch.size());
  }
}

TEST(journal_format, a_batch_elsewhere_than_it_says_is_refused) {
  const std::string batch = make_batch({{1, "first"}});
  EXPECT_EQ(parse_batch(batch, offset + 8, capacity).state, batch_state::invalid);
}

TEST(journal_format, a_batch_longer_than_the_segment_is_refused_without_reading_it) {
  const std::string batch = make_batch({{1, std::string(500, 'x')}});
  EXPECT_EQ(parse_batch(batch.substr(0, 48), offset, offset + 100).state, batch_state::invalid);
}

TEST(journal_format, a_record_of_another_epoch_or_place_is_refused) {
  std::string framed(record_framing_size + 5, '\0');
  encode_record({4, "hello"}, epoch, 128, framed.data());
  record_view record;
  std::size_t size = 0;
  EXPECT_TRUE(decode_record(framed, epoch, 128, record, size));
  EXPECT_EQ(record.payload, "hello");
  EXPECT_EQ(size, framed.size());
  EXPECT_FALSE(decode_record(framed, epoch + 1, 128, record, size));
  EXPECT_FALSE(decode_record(framed, epoch, 136, record, size));
}

TEST(journal_format, a_chain_takes_only_the_batch_that_follows) {
  batch_chain chain{.epoch = epoch, .lsn_next = 5, .prev_crc = 77};
  const batch_header next{
      .crc = 88, .epoch = epoch, .lsn_first = 5, .lsn_durable = 4, .count = 2, .prev_crc = 77};
  EXPECT_TRUE(chain.takes(next));
  for (auto change : {+[](batch_header& h) { h.epoch++; }, +[](batch_header& h) { h.lsn_first++; },
                      +[](batch_header& h) { h.prev_crc++; },
                      +[](batch_header& h) { h.lsn_durable = h.lsn_first; }}) {
    batch_header other = next;
    change(other);
    EXPECT_FALSE(chain.takes(other));
  }
  chain.advance(next);
  EXPECT_EQ(chain.lsn_next, 7u);
  EXPECT_EQ(chain.prev_crc, 88u);
}

TEST(journal_format, a_snapshot_chunk_is_bound_to_its_snapshot_and_place) {
  std::string chunk(chunk_header::size, '\0');
  chunk += "data";
  seal_chunk(11, {.length = 4, .index = 2}, chunk.data());
  const chunk_header header = decode_chunk_header(chunk);
  EXPECT_TRUE(is_whole(11, header, "data"));
  EXPECT_FALSE(is_whole(12, header, "data"));
  EXPECT_FALSE(is_whole(11, header, "dat"));
  EXPECT_FALSE(is_whole(11, header, "dato"));
  chunk_header moved = header;
  moved.index = 3;
  EXPECT_FALSE(is_whole(11, moved, "data"));
}

TEST(journal_format, a_snapshot_header_with_any_bit_flipped_is_refused) {
  char bytes[snapshot_header::size];
  encode(snapshot_header{.lsn = 5, .segment = 2, .offset = 64}, bytes);
  snapshot_header read;
  ASSERT_TRUE(decode({bytes, sizeof bytes}, read));
  EXPECT_EQ(read.lsn, 5u);
  EXPECT_EQ(read.segment, 2u);
  EXPECT_EQ(read.offset, 64u);
  for (std::size_t bit = 0; bit < sizeof bytes * 8; ++bit) {
    std::string damaged(bytes, sizeof bytes);
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(decode(damaged, read)) << "bit " << bit;
  }
  for (const snapshot_header& far : {snapshot_header{.lsn = lsn_max + 1, .segment = 2},
                                     snapshot_header{.lsn = 5, .segment = UINT32_MAX}}) {
    encode(far, bytes);
    EXPECT_FALSE(decode({bytes, sizeof bytes}, read));
  }
}

TEST(journal_format, file_names_read_back_and_foreign_names_are_none) {
  EXPECT_EQ(segment_name(7), "journal-0000000007.seg");
  EXPECT_EQ(segment_number_of("journal-0000000007.seg"), 7u);
  EXPECT_EQ(segment_number_of("journal-0000000007.seg.tmp"), 0u);
  EXPECT_EQ(segment_number_of("journal-7.seg"), 0u);
  EXPECT_EQ(segment_number_of("journal-9999999999.seg"), 0u);
  EXPECT_EQ(segment_number_of("journal-4000000000.seg"), segment_number_max);
  EXPECT_EQ(segment_number_of("journal-4000000001.seg"), 0u);
  EXPECT_EQ(segment_number_of("lock"), 0u);
  std::uint64_t lsn = 0;
  EXPECT_TRUE(snapshot_lsn_of(snapshot_name(UINT64_MAX), lsn));
  EXPECT_EQ(lsn, UINT64_MAX);
  EXPECT_FALSE(snapshot_lsn_of("snapshot-00000000000000000001.tmp", lsn));
}

}  // namespace
}  // namespace weir::detail::journal_format_test
