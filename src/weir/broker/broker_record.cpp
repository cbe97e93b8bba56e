#include <weir/broker/broker_record.hpp>

#include <weir/broker/record_io.hpp>

#include <fmt/format.h>

namespace weir {

template <class Record>
void record_batch::append(const Record& record) {
  items_.push_back({Record::kind, payloads_.size()});
  detail::field_writer write(payloads_);
  write(record_version);
  record.fields(write);
}

void record_batch::append(broker_record record) {
  items_.push_back({record.kind, payloads_.size()});
  payloads_.append(record.payload);
}

void record_batch::clear() noexcept {
  items_.clear();
  payloads_.clear();
}

broker_record record_batch::operator[](std::size_t at) const noexcept {
  const std::size_t end = at + 1 < items_.size() ? items_[at + 1].from : payloads_.size();
  const std::size_t from = items_[at].from;
  return {items_[at].kind, std::string_view(payloads_).substr(from, end - from)};
}

template <class Record>
result<void> decode_into(Record& record, std::string_view payload) {
  detail::field_reader read(payload);
  std::uint8_t version = 0;
  read(version);
  if (read.is_ok() && version != record_version) {
    return fail(errc::unsupported,
                fmt::format("broker record of kind {} has version {}, this program reads {}",
                            static_cast<int>(Record::kind), version, record_version));
  }
  record.fields(read);
  if (!read.is_ok() || !read.rest().empty()) {
    return fail(errc::corrupt, fmt::format("broker record of kind {} has a malformed payload of {}"
                                           " bytes",
                                           static_cast<int>(Record::kind), payload.size()));
  }
  return {};
}

template <class Record>
result<Record> decode(std::string_view payload) {
  Record record;
  if (auto done = decode_into(record, payload); !done) return fail(std::move(done.error()));
  return record;
}

#define WEIR_RECORD(type)                                \
  template void record_batch::append<type>(const type&); \
  template result<type> decode<type>(std::string_view);  \
  template result<void> decode_into<type>(type&, std::string_view);

WEIR_RECORD(queue_set_record)
WEIR_RECORD(queue_delete_record)
WEIR_RECORD(submit_record)
WEIR_RECORD(lease_record)
WEIR_RECORD(retry_record)
WEIR_RECORD(dead_record)
WEIR_RECORD(end_record)
WEIR_RECORD(remove_record)
WEIR_RECORD(redrive_record)
WEIR_RECORD(reply_retry_record)
WEIR_RECORD(reply_done_record)
#undef WEIR_RECORD

}  // namespace weir
