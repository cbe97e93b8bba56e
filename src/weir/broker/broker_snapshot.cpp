#include <weir/broker/broker_snapshot.hpp>

#include <weir/base/assert.hpp>
#include <weir/base/crc32c.hpp>
#include <weir/base/defect.hpp>
#include <weir/broker/record_io.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace weir {

using detail::field_reader;
using detail::field_writer;
using detail::message;
using detail::message_queue;
using detail::message_store;
using detail::no_slot;

namespace {

constexpr std::uint64_t snapshot_magic = 0x70616e7372696577;  // "weirsnap"
constexpr std::uint16_t snapshot_version = 2;
/// Of one without former queues, so that an earlier version reads it.
constexpr std::uint16_t snapshot_version_plain = 1;
constexpr std::size_t slice_head_bytes = 8;  // length, crc32c
constexpr std::size_t slice_bytes_max = std::size_t(1) << 30;
constexpr std::uint64_t reserve_max = std::uint64_t(1) << 26;  // messages

enum class item_tag : std::uint8_t { begin = 1, queue, message, note, key, reply, end, former };

/// Bits of a message's first word that say how this state links it.
constexpr std::uint64_t link_flags = std::uint64_t(1) << message::order_straggler |
                                     std::uint64_t(1) << message::expiry_straggler |
                                     std::uint64_t(1) << message::has_note;

void put_item(std::string& to, item_tag tag, const auto& item) {
  field_writer write(to);
  write(static_cast<std::uint8_t>(tag));
  item.fields(write);
}

bool is_possible(const message& of) {
  return of.sequence != 0 && of.sequence <= sequence_max &&
         static_cast<std::size_t>(of.state()) < message_states && of.priority() <= priority_max &&
         of.has_possible_times();
}

/// Sorts and links messages just loaded, then frees the list.
template <class Loaded, class Key>
void link_in_order(message_store& store, std::vector<Loaded>& list, Key key) {
  constexpr std::size_t ahead = 16;  // a backlog that has lived lies scattered in memory
  if (!std::ranges::is_sorted(list, {}, key)) std::ranges::sort(list, {}, key);
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (i + ahead < list.size()) __builtin_prefetch(&store[list[i + ahead].slot], 1);
    store.link_loaded(list[i].slot);
  }
  list = {};
}

struct begin_item {
  std::uint64_t magic = 0;
  std::uint16_t version = 0;
  location start = {};
  std::uint64_t next_sequence = 0;
  std::uint32_t next_queue = 0;
  std::uint64_t messages = 0;  // about so many will follow
  void fields(this auto& self, auto& io) {
    io(self.magic, self.version, self.start, self.next_sequence, self.next_queue, self.messages);
  }
};

struct former_item {
  std::uint32_t queue = 0;
  std::string_view name = {};
  void fields(this auto& self, auto& io) { io(self.queue, self.name); }
};

struct message_item {
  message of;
  void fields(this auto& self, auto& io) {
    io(self.of.sequence, self.of.due, self.of.word_a, self.of.word_b, self.of.where,
       self.of.body_bytes, self.of.queue, self.of.leases);
  }
};

struct note_item {
  std::uint64_t sequence = 0;
  std::uint32_t origin = 0;
  std::uint16_t died_after = 0;
  std::string_view error = {};
  void fields(this auto& self, auto& io) {
    io(self.sequence, self.origin, self.died_after, self.error);
  }
};

struct key_item {
  detail::key_digest digest;
  std::uint64_t sequence = 0;
  std::int64_t until = 0;
  void fields(this auto& self, auto& io) {
    io(self.digest.first, self.digest.second, self.sequence, self.until);
  }
};

struct reply_line {
  std::uint64_t sequence = 0;
  detail::reply_item of = {};
  void fields(this auto& self, auto& io) {
    io(self.sequence, self.of.queue, self.of.outcome, self.of.attempts, self.of.due, self.of.source,
       self.of.result, self.of.error);
  }
};

struct end_item {
  location end = {};
  std::uint64_t messages = 0;
  std::uint64_t keys = 0;
  std::uint64_t replies = 0;
  void fields(this auto& self, auto& io) { io(self.end, self.messages, self.keys, self.replies); }
};

}  // namespace

snapshot_writer::snapshot_writer(const broker_state& state)
    : state_(state), start_(state.applied()), end_(start_) {
  // The queues are written with the first slice but as they are now: what the messages say of
  // their queues must never be newer than the list of queues is.
  write_queues();
}

std::string snapshot_writer::next(std::size_t budget) {
  if (is_finished()) return {};
  while (slice_.size() < budget && !is_finished()) {
    switch (part_) {
      case part::queues:
        part_ = part::messages;
        break;
      case part::messages:
        write_messages(budget);
        break;
      case part::keys:
        write_keys(budget);
        break;
      case part::replies:
        write_replies(budget);
        break;
      case part::finished:
        break;
    }
  }
  end_ = state_.applied();
  std::array<std::uint32_t, 2> head = {static_cast<std::uint32_t>(slice_.size()), crc32c(slice_)};
  std::string framed(slice_head_bytes, '\0');
  std::memcpy(framed.data(), head.data(), slice_head_bytes);
  framed.append(slice_);
  slice_.clear();
  return framed;
}

void snapshot_writer::write_queues() {
  const message_store& store = state_.store_;
  const auto& former = store.former().all();
  const auto has_letters = [&](const auto& one) { return store.dead_letters(one.second) != 0; };
  const auto version =
      std::ranges::any_of(former, has_letters) ? snapshot_version : snapshot_version_plain;
  put_item(slice_, item_tag::begin,
           begin_item{snapshot_magic, version, start_, store.next_sequence, store.next_queue,
                      store.slab().size()});
  for (const auto& [name, number] : store.names()) write_queue(*store.queue(number));
  for (const auto& [name, number] : former) {
    if (store.dead_letters(number) != 0) {
      put_item(slice_, item_tag::former, former_item{number, name});
    }
  }
}

void snapshot_writer::write_queue(const message_queue& queue) {
  if (!queues_written_.insert(queue.number).second) return;
  put_item(slice_, item_tag::queue,
           queue_set_record{queue.number, queue.created.ns, queue.name, queue.settings});
}

void snapshot_writer::write_messages(std::size_t budget) {
  const message_store& store = state_.store_;
  for (; slice_.size() < budget && slot_ < store.slab().slots_end(); ++slot_) {
    if (!store.slab().is_used(slot_)) continue;
    const message& of = store[slot_];
    const message_queue* const queue = store.live_queue(of.queue);
    if (!queue) continue;
    // A dead letter may lie in a queue that was made after the snapshot began.
    write_queue(*queue);
    message_item line{of};
    line.of.word_a &= ~link_flags;
    put_item(slice_, item_tag::message, line);
    ++messages_;
    if (const auto* note = store.note_of(of)) {
      put_item(slice_, item_tag::note,
               note_item{of.sequence, note->origin, note->died_after, store.error_of(of)});
    }
  }
  if (slot_ < store.slab().slots_end()) return;
  part_ = part::keys;
  slot_ = 0;
}

void snapshot_writer::write_keys(std::size_t budget) {
  const auto& keys = state_.store_.keys.items();
  for (; slice_.size() < budget && slot_ < keys.slots_end(); ++slot_) {
    if (!keys.is_used(slot_)) continue;
    put_item(slice_, item_tag::key,
             key_item{keys[slot_].digest, keys[slot_].sequence, keys[slot_].until});
    ++keys_;
  }
  if (slot_ >= keys.slots_end()) part_ = part::replies;
}

void snapshot_writer::write_replies(std::size_t budget) {
  const auto& items = state_.store_.replies().items();
  auto at = items.upper_bound(after_reply_);
  for (; slice_.size() < budget && at != items.end(); ++at) {
    const bool is_left_out = is_planted("broker: snapshots no reply that is being told");
    if (is_left_out && at->second.is_out) continue;
    put_item(slice_, item_tag::reply, reply_line{at->first, at->second});
    after_reply_ = at->first;
    ++replies_;
  }
  if (at != items.end()) return;
  write_end();
  part_ = part::finished;
}

void snapshot_writer::write_end() {
  put_item(slice_, item_tag::end, end_item{state_.applied(), messages_, keys_, replies_});
}

snapshot_loader::snapshot_loader(broker_state& state) : state_(state) {
  WEIR_ASSERT(state.store_.next_sequence == 1 && state.store_.next_queue == 1);
}

result<void> snapshot_loader::feed(std::string_view bytes) {
  // Slices mostly come whole: then they are read where they are, and nothing is copied.
  const bool is_cut = !rest_.empty();
  if (is_cut) bytes = rest_.append(bytes);
  std::size_t used = 0;
  while (bytes.size() - used >= slice_head_bytes) {
    std::array<std::uint32_t, 2> head{};
    std::memcpy(head.data(), bytes.data() + used, slice_head_bytes);
    const std::size_t size = head[0];
    if (size == 0 || size > slice_bytes_max) {
      return fail(errc::corrupt, "snapshot: a slice has an impossible length");
    }
    if (bytes.size() - used - slice_head_bytes < size) break;
    const std::string_view slice = bytes.substr(used + slice_head_bytes, size);
    if (crc32c(slice) != head[1]) {
      return fail(errc::corrupt, "snapshot: a slice's checksum is wrong");
    }
    if (auto ok = read_slice(slice); !ok) return ok;
    used += slice_head_bytes + size;
  }
  if (is_cut) {
    rest_.erase(0, used);
  } else {
    rest_.assign(bytes.substr(used));
  }
  return {};
}

result<void> snapshot_loader::read_slice(std::string_view slice) {
  while (!slice.empty()) {
    if (read_item(slice)) continue;
    if (is_newer_) return fail(errc::unsupported, "snapshot: written by a newer version of weir");
    return fail(errc::corrupt, "snapshot: an item is malformed");
  }
  return {};
}

bool snapshot_loader::read_begin(field_reader& read) {
  begin_item item;
  item.fields(read);
  if (!read.is_ok() || item.magic != snapshot_magic) return false;
  is_newer_ = item.version > snapshot_version;
  if (item.version < snapshot_version_plain || is_newer_) return false;
  if (item.next_sequence == 0 || item.next_queue == 0) return false;
  if (item.next_sequence > sequence_max + 1 || item.next_queue > queue_number_max + 1) return false;
  has_begun_ = true;
  start_ = item.start;
  message_store& store = state_.store_;
  store.next_sequence = item.next_sequence;
  store.next_queue = item.next_queue;
  const auto messages = static_cast<std::size_t>(std::min(item.messages, reserve_max));
  store.reserve(messages);
  ready_.reserve(messages);
  return true;
}

bool snapshot_loader::read_message(field_reader& read) {
  message_item item;
  item.fields(read);
  message_store& store = state_.store_;
  if (!read.is_ok() || !is_possible(item.of) || !store.live_queue(item.of.queue)) return false;
  const bool ends_leases = is_planted("broker: ends all leases of a snapshot");
  if (ends_leases && item.of.state() == message_state::leased) {
    item.of.set_state(message_state::ready);
  }
  last_slot_ = store.load(item.of);
  if (item.of.state() == message_state::ready) {
    ready_.push_back({item.of.sequence, last_slot_});
  } else {
    timed_.push_back({detail::by_due::key(item.of), last_slot_});
  }
  ++messages_;
  return true;
}

bool snapshot_loader::read_item(std::string_view& from) {
  const auto tag = static_cast<item_tag>(from.front());
  field_reader read(from.substr(1));
  const auto took = [&](auto& item) {
    item.fields(read);
    from = read.rest();
    return read.is_ok();
  };
  if (has_ended_ || has_begun_ == (tag == item_tag::begin)) return false;
  message_store& store = state_.store_;
  switch (tag) {
    case item_tag::begin: {
      const bool is_read = read_begin(read);
      from = read.rest();
      return is_read;
    }
    case item_tag::queue: {
      queue_set_record item;
      if (!took(item) || !state_.is_possible(item)) return false;
      store.set_queue(item.queue, item.name, time_point(item.created), item.settings);
      return true;
    }
    case item_tag::former: {
      former_item item;
      const bool is_read = took(item) && item.queue != 0 && !item.name.empty();
      if (!is_read || item.queue >= store.next_queue) return false;
      store.load_former(item.queue, item.name);
      return true;
    }
    case item_tag::message: {
      const bool is_read = read_message(read);
      from = read.rest();
      return is_read;
    }
    case item_tag::note: {
      note_item item;
      if (!took(item) || last_slot_ == no_slot) return false;
      if (store[last_slot_].sequence != item.sequence) return false;
      store.load_note(last_slot_, item.origin, item.died_after, item.error);
      return true;
    }
    case item_tag::key: {
      key_item item;
      if (!took(item) || item.sequence == 0) return false;
      if (!is_planted("broker: brings no keys back from a snapshot")) {
        store.keys.remember(item.digest, item.sequence, time_point(item.until));
      }
      ++keys_;
      return true;
    }
    case item_tag::reply: {
      reply_line item;
      if (!took(item) || item.sequence == 0) return false;
      replies_.push_back({item.sequence, std::move(item.of)});
      return true;
    }
    case item_tag::end: {
      end_item item;
      if (!took(item) || item.messages != messages_ || item.keys != keys_ ||
          item.replies != replies_.size()) {
        return false;
      }
      end_ = item.end;
      has_ended_ = true;
      return true;
    }
  }
  return false;
}

result<void> snapshot_loader::finish() {
  if (!has_ended_ || !rest_.empty()) return fail(errc::corrupt, "snapshot: its end is missing");
  message_store& store = state_.store_;
  // In these orders nearly everything is appended; in slot order much would be a straggler.
  link_in_order(store, ready_, &ready_message::sequence);
  link_in_order(store, timed_, &timed_message::key);
  for (loaded_reply& reply : replies_) {
    const std::string error = std::move(reply.item.error);
    store.put_reply(reply.sequence, std::move(reply.item), error);
  }
  state_.applied_ = start_;
  replies_.clear();
  return {};
}

}  // namespace weir
