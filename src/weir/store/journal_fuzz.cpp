// Fuzzes the opening of a journal: the input is a list of edits to a whole journal (or raw bytes of
// a segment). Whatever they do, opening and checking must end without a crash; what opens must take
// records, and must hold the same records when it is opened again. With accept_loss, what was
// acknowledged after the opening must be there. Edits can seal what they changed with a right
// checksum and put numbers at their ends, so that the fuzzer gets behind the checksums.
#include <weir/store/journal.hpp>

#include <weir/base/assert.hpp>
#include <weir/base/log.hpp>
#include <weir/core/as_result.hpp>
#include <weir/core/run.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/sim/virtual_driver.hpp>
#include <weir/store/internal/journal_model.hpp>
#include <weir/store/journal_check.hpp>

#include <fcntl.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace weir {
namespace {

using detail::journal_model;
using folder_image = std::map<std::string, std::string>;

constexpr journal_options tiny{.segment_bytes = 4096,
                               .reserve_segments = 1,
                               .pending_bytes_max = 4096,
                               .group_bytes_max = 1024,
                               .snapshot_bytes = 2048,
                               .snapshot_slice_bytes = 64};

/// False: no more is taken in, which an opening after damage may say. Numbers may be used up.
task<bool> use(journal& log, journal_model& model, std::uint64_t first_id, int count,
               int dropped_from) {
  bool takes_records = true;
  model.over = &log;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([](journal* running) -> task<> { co_await running->run(); }, &log);
    for (int i = 0; i < count && takes_records; ++i) {
      const std::uint64_t id = first_id + static_cast<std::uint64_t>(i);
      std::vector<journal_model::change> changes = {{journal_model::put, id, {}}};
      // Old ones go one after the other, so that segments are emptied.
      if (i >= dropped_from) changes.push_back({journal_model::drop, id - first_id, {}});
      const auto done = co_await as_result(model.commit(std::move(changes)));
      takes_records = done.has_value();
      if (!done) WEIR_ASSERT(done.error() == errc::busy || done.error() == errc::unsupported);
    }
    log.close();
  });
  co_return takes_records;
}

task<> make(journal_model* model) {
  auto log = co_await journal::open("/data", tiny, *model);
  WEIR_ASSERT(co_await use(*log, *model, 1, 90, 90));
}

folder_image image_of(virtual_world& world) {
  std::vector<std::string> names;
  folder_image image;
  WEIR_ASSERT(world.disk().list_dir("/data", names, false) == 0);
  for (const std::string& name : names) {
    image[name] = *world.disk().content_of(("/data/" + name).c_str());
  }
  return image;
}

folder_image make_image() {
  log::set_level(log::level::off);
  virtual_world world;
  virtual_driver io(world);
  journal_model model;
  run_on(io, make(&model));
  return image_of(world);
}

/// Makes the checksum of whatever begins at `at` right.
void seal(std::string& content, std::size_t at) {
  if (at == 0 && content.size() >= detail::segment_header::size) {
    detail::segment_header header;
    std::memcpy(&header.number, content.data() + 16, 4);
    std::memcpy(&header.prev_crc, content.data() + 20, 4);
    std::memcpy(&header.epoch, content.data() + 24, 8);
    std::memcpy(&header.lsn_first, content.data() + 32, 8);
    std::memcpy(&header.capacity, content.data() + 40, 8);
    encode(header, content.data());
    return;
  }
  if (at + detail::batch_header::size > content.size()) return;
  detail::batch_header header;
  const char* from = content.data() + at;
  std::memcpy(&header.length, from + 4, 4);
  if (header.length < detail::batch_header::size || header.length > content.size() - at) return;
  std::memcpy(&header.epoch, from + 8, 8);
  std::memcpy(&header.lsn_first, from + 16, 8);
  std::memcpy(&header.lsn_durable, from + 24, 8);
  std::memcpy(&header.count, from + 32, 4);
  std::memcpy(&header.prev_crc, from + 36, 4);
  std::memcpy(&header.offset, from + 40, 4);
  std::memcpy(&header.run, from + 44, 4);
  detail::seal_batch(header, content.data() + at);
}

/// Numbers at their ends, and some around them.
std::uint64_t extreme(unsigned which, unsigned around) {
  constexpr std::uint64_t ends[] = {
      0,
      1,
      UINT32_MAX,
      UINT64_MAX,
      detail::segment_number_max,
      detail::lsn_max,
      std::uint64_t{1} << 63,
      100,
  };
  return ends[which % 8] + static_cast<std::uint64_t>(static_cast<std::int8_t>(around));
}

void put_number(std::string& content, std::size_t at, std::uint64_t value, std::size_t size) {
  if (at + size <= content.size()) std::memcpy(content.data() + at, &value, size);
}

bool is_snapshot(std::string_view content) { return content.starts_with("weirsnp1"); }

/// Makes all checksums of a snapshot right.
void seal_snapshot(std::string& content) {
  detail::snapshot_header header;
  std::memcpy(&header.lsn, content.data() + 16, 8);
  std::memcpy(&header.segment, content.data() + 24, 4);
  std::memcpy(&header.offset, content.data() + 28, 4);
  encode(header, content.data());
  std::memcpy(&header.crc, content.data() + 8, 4);
  std::size_t at = detail::snapshot_header::size;
  while (at + detail::chunk_header::size <= content.size()) {
    const detail::chunk_header chunk =
        detail::decode_chunk_header(std::string_view(content).substr(at));
    const std::size_t end = at + detail::chunk_header::size + chunk.length;
    if (end > content.size()) return;
    detail::seal_chunk(header.crc, chunk, content.data() + at);
    at = end;
  }
}

/// Puts a number into a field of a header (of a segment, its batch `which` or a snapshot) and seals
/// it.
void put_field(std::string& content, unsigned which, unsigned field, std::uint64_t value) {
  struct place {
    std::size_t at;
    std::size_t size;
  };
  constexpr place of_snapshot[] = {{16, 8}, {24, 4}, {28, 4}};
  constexpr place of_segment[] = {{16, 4}, {20, 4}, {24, 8}, {32, 8}, {40, 8}};
  constexpr place of_batch[] = {{8, 8}, {16, 8}, {24, 8}, {32, 4}, {36, 4}, {44, 4}};
  if (content.size() < detail::segment_header::size) return;
  if (is_snapshot(content)) {
    const place in = of_snapshot[field % 3];
    put_number(content, in.at, value, in.size);
    return seal_snapshot(content);
  }
  if (which == 0) {
    const place in = of_segment[field % 5];
    put_number(content, in.at, value, in.size);
    return seal(content, 0);
  }
  std::size_t at = detail::segment_header::size;
  for (; which > 1; --which) {
    const auto batch =
        detail::parse_batch(std::string_view(content).substr(at), at, content.size());
    if (batch.state != detail::batch_state::whole) return;
    at = detail::align_batch(at + batch.header.length);
    if (at >= content.size()) return;
  }
  const place in = of_batch[field % 6];
  put_number(content, at + in.at, value, in.size);
  seal(content, at);
}

/// An edit by meaning: a field, a number anywhere, the name of a file.
void edit_number(folder_image& image, folder_image::iterator file, std::string_view six) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(six[i]); };
  std::string& content = file->second;
  const std::uint64_t value = extreme(byte(4), byte(5));
  switch (byte(0) % 4) {
    case 0:
    case 1:
      return put_field(content, byte(2) % 16, byte(3), value);
    case 2:
      put_number(content, std::min<std::size_t>(byte(2) * 256u + byte(3), content.size()), value,
                 8);
      if (is_snapshot(content)) seal_snapshot(content);
      return;
    default: {
      std::string moved = std::move(content);
      image.erase(file);
      const auto number = static_cast<std::uint32_t>(value);
      image[byte(2) % 2 == 0 ? detail::segment_name(number) : detail::snapshot_name(value)] =
          std::move(moved);
    }
  }
}

/// One edit is six bytes: what, which file, where (2), and two bytes of content or a length.
void edit(folder_image& image, std::string_view six) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(six[i]); };
  auto file = image.begin();
  std::advance(file, byte(1) % image.size());
  if (byte(0) >= 128) return edit_number(image, file, six);
  std::string& content = file->second;
  const std::size_t at = std::min<std::size_t>(byte(2) * 256u + byte(3), content.size());
  const std::size_t length = byte(4) * 256u + byte(5);
  switch (byte(0) % 8) {
    case 0:
    case 1:
      for (std::size_t i = 0; i < 2 && at + i < content.size(); ++i) content[at + i] = six[4 + i];
      break;
    case 2:
      seal(content, at);
      break;
    case 3:
      content.resize(at);
      break;
    case 4:
      std::fill_n(content.begin() + static_cast<std::ptrdiff_t>(at),
                  std::min(length, content.size() - at), '\0');
      break;
    case 5: {
      auto other = image.begin();
      std::advance(other, byte(4) % image.size());
      content = other->second;
      break;
    }
    case 6:
      if (image.size() > 1) image.erase(file);
      break;
    default:
      content.insert(at, std::min<std::size_t>(length, 512), static_cast<char>(length));
      break;
  }
}

struct opened {
  bool is_open = false;
  std::uint64_t lsn = 0;
  std::size_t values = 0;
  bool takes_records = true;
  bool has_new = true;  // what the opening before has put
};
constexpr std::uint64_t new_first = 5000;
constexpr int new_count_min = 3;

task<> open_and_use(opened* outcome, bool accepts_loss, int count) {
  const auto report = co_await as_result(check_journal("/data"));
  journal_model model;
  model.keeps_history = false;
  journal_options options = tiny;
  options.accept_loss = accepts_loss;
  auto log = co_await as_result(journal::open("/data", options, model));
  outcome->is_open = log.has_value();
  if (!log) {
    // Whole by its checksum, but not what this program writes.
    const bool is_foreign = log.error() == errc::malformed || log.error() == errc::unsupported;
    WEIR_ASSERT(!accepts_loss || is_foreign);
    co_return;
  }
  if (!accepts_loss && report) WEIR_ASSERT(report->is_sound());
  for (std::uint64_t id = new_first; id < new_first + std::uint64_t{new_count_min}; ++id) {
    outcome->has_new = outcome->has_new && model.has(id);
    if (count == 0 && outcome->has_new) {
      static_cast<void>(co_await (*log)->read(model.place_of(id)));
    }
  }
  if (count != 0)
    outcome->takes_records = co_await use(**log, model, new_first, count, new_count_min);
  outcome->lsn = (*log)->lsn_durable();
  outcome->values = model.size();
}

opened open_image(virtual_world& world, bool accepts_loss, int count) {
  virtual_driver io(world);
  opened outcome;
  run_on(io, open_and_use(&outcome, accepts_loss, count));
  return outcome;
}

void put_image(virtual_world& world, const folder_image& image) {
  constexpr io_handle any = 1'000'000;
  WEIR_ASSERT(world.disk().make_dir("/data") == 0);
  for (const auto& [name, content] : image) {
    WEIR_ASSERT(world.disk().open(("/data/" + name).c_str(), O_CREAT | O_RDWR, any) >= 0);
    WEIR_ASSERT(world.disk().write_at(any, content, 0) >= 0);
    WEIR_ASSERT(world.disk().sync(any) == 0);
    world.disk().close(any);
  }
  WEIR_ASSERT(world.disk().sync_dir("/data") == 0 && world.disk().sync_dir("/") == 0);
}

void try_input(std::string_view input) {
  static const folder_image whole = make_image();
  if (input.empty()) return;
  folder_image image = whole;
  const bool accepts_loss = (input[0] & 1) != 0;
  const bool is_raw = (input[0] & 2) != 0;
  const int count = (input[0] & 4) != 0 ? 60 : new_count_min;
  input.remove_prefix(1);
  if (is_raw) {
    image = {{detail::segment_name(1), std::string(input)}};
    image.begin()->second.resize(std::max<std::size_t>(input.size(), 4096));
  } else {
    for (int edits = 0; input.size() >= 6 && edits < 64; ++edits, input.remove_prefix(6)) {
      edit(image, input.substr(0, 6));
    }
  }
  virtual_world world({.seed = 1});  // other epochs than those of the image
  put_image(world, image);
  const opened first = open_image(world, accepts_loss, count);
  if (!first.is_open || !first.takes_records) return;
  world.crash(crash_loss::all);
  const opened second = open_image(world, accepts_loss, 0);
  WEIR_ASSERT(second.is_open && second.has_new);
  if (!accepts_loss) WEIR_ASSERT(second.lsn == first.lsn && second.values == first.values);
}

}  // namespace
}  // namespace weir

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  weir::try_input({reinterpret_cast<const char*>(data), size});
  return 0;
}
