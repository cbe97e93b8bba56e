#include <weir/flow/sharded.hpp>

#include <weir/base/assert.hpp>
#include <weir/base/error.hpp>
#include <weir/core/error_group.hpp>
#include <weir/core/local.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/string_sink.hpp>
#include <weir/core/with_scope.hpp>

#include <fmt/format.h>

#include <new>
#include <utility>

namespace weir::detail {

namespace {

// Without memory for the words the cut itself must do.
template <class... A>
std::string words(fmt::format_string<const A&...> form, const A&... args) noexcept {
  try {
    return fmt::format(form, args...);
  } catch (const std::bad_alloc&) {
    return {};
  }
}

}  // namespace

shard_meeting::~shard_meeting() {
  WEIR_ASSERT(staying_ == 0 && "a sharded<T> is destroyed after all with_shard() have ended");
}

void* shard_meeting::shard_here() const noexcept {
  WEIR_ASSERT(find_local(this) && "shards are for the bodies of with_shard() and what they call");
  WEIR_ASSERT(&cores() == group_);
  return slots_[this_core()].shard;  // (3)
}

shard_stats shard_meeting::stats() const noexcept {
  const many_loops::guard held(lock_);
  return {.made = made_, .inside = inside_};
}

// It has not entered, and still the others must not wait for it.
void shard_meeting::drop_out(std::size_t core) noexcept {
  cut(words("core {} had no memory for its shard", core));
}

shard_meeting::entrance shard_meeting::enter(std::size_t core, core_group& group) {
  std::unique_ptr<slot[]> slots;
  try {
    slots = std::make_unique<slot[]>(group.size());
  } catch (...) {
    drop_out(core);
    throw;
  }
  bool is_first = false;
  {
    const many_loops::guard held(lock_);
    if (over_.is_set() && !is_cut_) return entrance::again;
    if (is_cut_ && !(group_ == &group && slots_[core].has_entered)) return entrance::cut;
    WEIR_ASSERT((!group_ || group_ == &group) && "a sharded<T> is for the cores of one group");
    is_first = !slots_;
    if (is_first) {
      slots_ = std::move(slots);
      group_ = &group;
    }
    if (slots_[core].has_entered) return entrance::again;
    slots_[core].has_entered = true;
    ++inside_;
    ++staying_;
  }
  if (is_first) group.watch(*this);
  return entrance::inside;
}

void shard_meeting::note_made(std::size_t core, void* shard) noexcept {
  const many_loops::guard held(lock_);
  slots_[core].shard = shard;
  if (++made_ == group_->size() && !is_cut_) ready_.set();
}

void shard_meeting::end_part(bool is_good, std::string why) noexcept {
  if (!is_good) cut(std::move(why));
  const many_loops::guard held(lock_);
  if (--inside_ != 0) return;
  if (!is_cut_ && made_ < group_->size()) return;
  over_.set();
  turn_.set();
}

// The last one takes its leave of the group, which ends before the meeting does.
void shard_meeting::leave() noexcept {
  {
    const many_loops::guard held(lock_);
    if (--staying_ != 0) return;
  }
  group_->unwatch(*this);
}

void shard_meeting::core_closed(std::size_t index) noexcept {
  {
    const many_loops::guard held(lock_);
    if (slots_[index].has_entered) return;
  }
  cut(words("the program of core {} ended without a shard", index));
}

// The first reason stays; what is over can't be cut.
void shard_meeting::cut(std::string why) noexcept {
  const many_loops::guard held(lock_);
  if (is_cut_ || over_.is_set()) return;
  is_cut_ = true;
  why_ = std::move(why);
  turn_.set();
}

bool shard_meeting::is_cut() const noexcept {
  const many_loops::guard held(lock_);
  return is_cut_;
}

std::string shard_meeting::why() const {
  const many_loops::guard held(lock_);
  return why_;
}

shard_stay::~shard_stay() {
  if (!has_entered_) return;
  end_part();  // when even its scope found no memory
  of_.leave();
}

bool shard_stay::enter() {
  const auto found = of_.enter(core_, cores());
  has_entered_ = found == shard_meeting::entrance::inside;
  was_here_before_ = found == shard_meeting::entrance::again;
  return has_entered_;
}

// The keeper has all the memory it needs before there is a shard to be kept.
task<> shard_stay::be_kept(scope& in) {
  in_ = &in;
  in.spawn_at(place_, &shard_stay::keep, this, &in);
  co_await is_kept_.wait();
}

task<> shard_stay::keep(shard_stay* self, scope* in) {
  co_await shield(self->keep_until_over(*in));
}

task<> shard_stay::keep_until_over(scope& in) {
  is_kept_.set();
  co_await of_.turn_.wait();
  if (of_.is_cut())
    in.cancel({.kind = cancel_kind::sibling, .text = "another core has dropped out"});
  co_await of_.over_.wait();
}

task<> shard_stay::begin(void* shard) {
  of_.note_made(core_, shard);
  co_await of_.ready_.wait();
}

task<> shard_stay::end() {
  has_ended_ = true;
  of_.end_part(true, {});
  co_await of_.over_.wait();
}

void shard_stay::fail(const std::exception_ptr& what) noexcept {
  if (std::exchange(has_ended_, true)) return;
  string_sink text;
  describe_exception(what, text);
  of_.end_part(false, words("core {} failed: {}", core_, text.text));
}

// A core that has ended well, too, must not make the others wait for one that is cancelled.
void shard_stay::end_part() noexcept {
  if (has_ended_ && of_.turn_.is_set()) return;
  std::string why =
      words("core {} was cancelled: {}", core_, in_ ? in_->reason().text : "it had no memory");
  if (std::exchange(has_ended_, true)) return of_.cut(std::move(why));
  of_.end_part(false, std::move(why));
}

// Who is cancelled ends in the sleep and raises nothing. It lets a turn of the loop go by: where
// all are stopped together, the stop was posted to this core before another one reacted and cut it
// off.
task<> shard_stay::hear() {
  if (was_here_before_) {
    raise(error(errc::closed, words("{}: a core has its shard once", of_.name()), place_));
  }
  if (!of_.is_cut()) co_return;
  co_await sleep(duration::microseconds(1));
  raise(error(errc::broken, words("{}: cut off: {}", of_.name(), of_.why()), place_));
}

}  // namespace weir::detail
