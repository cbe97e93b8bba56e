// The step that the cores take together behind sharded<T>, without its type.
//
//   gathering -- every core has made its shard --> open -- every body has ended --> over
//       |                                           |                                ^
//       +-- a core fails, is cancelled or will ----> cut -- every body has ended ----+
//           never come
//
// Invariants: (1) inside_ counts the cores that have entered and whose part has not ended;
//             (2) bodies run between open and over, and only what they wait for uses shards: so a
//                 shard that ends after over has nobody left who could call it;
//             (3) shards are noted before open, by their own cores, and stay as they are.
#pragma once

#include <weir/core/core_group.hpp>
#include <weir/core/task.hpp>
#include <weir/flow/detail/reach.hpp>
#include <weir/flow/event.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <source_location>
#include <string>

namespace weir {

/// Of all cores.
struct shard_stats {
  std::size_t made = 0;    // shards, since the beginning
  std::size_t inside = 0;  // cores that have begun with_shard() and not ended its body
};

namespace detail {

class shard_meeting final : private core_watch {
 public:
  explicit shard_meeting(const char* name) noexcept : name_(name) {}
  ~shard_meeting();

  /// The core had no memory to come.
  void drop_out(std::size_t core) noexcept;
  /// The shard of the running task's core; stops the process outside of bodies.
  void* shard_here() const noexcept;

  const char* name() const noexcept { return name_; }
  shard_stats stats() const noexcept;

 private:
  friend class shard_stay;
  enum class entrance : std::uint8_t { inside, cut, again };
  struct slot {
    void* shard = nullptr;  // (3)
    bool has_entered = false;
  };

  entrance enter(std::size_t core, core_group& group);
  void note_made(std::size_t core, void* shard) noexcept;
  void end_part(bool is_good, std::string why) noexcept;
  void leave() noexcept;
  void core_closed(std::size_t index) noexcept override;
  void cut(std::string why) noexcept;
  bool is_cut() const noexcept;
  std::string why() const;

  const char* const name_;
  mutable many_loops::lock lock_;
  core_group* group_ = nullptr;  // of the first that entered
  std::unique_ptr<slot[]> slots_;
  std::size_t made_ = 0;
  std::size_t inside_ = 0;   // (1)
  std::size_t staying_ = 0;  // cores whose with_shard() has not ended
  bool is_cut_ = false;
  std::string why_;
  cross::event ready_{"the shards of all cores"};
  cross::event turn_{"the end of all bodies, or of one core's part in them"};  // cut or over
  cross::event over_{"the end of all bodies"};
};

/// One core's part, in the frame of with_shard().
class shard_stay {
 public:
  shard_stay(shard_meeting& of, std::source_location place) noexcept
      : of_(of), place_(place), core_(this_core()) {}
  shard_stay(const shard_stay&) = delete;
  shard_stay& operator=(const shard_stay&) = delete;
  ~shard_stay();

  /// False: heard() tells why.
  bool enter();
  /// From here on the scope is cancelled when another core cuts it off, and lasts until all bodies
  /// have ended, whatever ends it.
  task<> be_kept(scope& in);
  /// Waits until every core has made its shard.
  task<> begin(void* shard);
  /// Waits until every core's body has ended.
  task<> end();
  /// The part ends by an error; or by a cancellation, unless end() has returned.
  void fail(const std::exception_ptr& what) noexcept;
  void end_part() noexcept;
  /// Raises what cut it off, if something has.
  task<> hear();

 private:
  static task<> keep(shard_stay* self, scope* in);
  task<> keep_until_over(scope& in);

  shard_meeting& of_;
  const std::source_location place_;
  const std::size_t core_;
  scope* in_ = nullptr;  // from be_kept() to the end of the part
  event is_kept_{"a task that keeps the shard"};
  bool has_entered_ = false;
  bool has_ended_ = false;
  bool was_here_before_ = false;
};

}  // namespace detail
}  // namespace weir
