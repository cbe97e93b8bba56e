// Memory that a process shares with its children, into which a child writes what is to be known of
// it, also in the moment in which it dies. The hard idea: what was there before the fork (literals,
// names of functions, places) has the same address in both, so that notes which point there are
// written as they are.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace weir::testing::detail {

/// How the run of a child has ended.
enum class run_end : unsigned char {
  unknown,  // it was killed, or ended without a word
  passed,   // or failed in another way than by its process's death
  died,
};

/// The memory.
///
/// Cancel:  no waits.
/// Order:   rewind(), the fork; then the child writes and calls end(), dies, and the parent reads
///          what was written in the order in which it was.
/// Bound:   bytes_max: what is longer is not kept, and the run's end stays unknown.
/// Errors:  where there is no memory each run's end is unknown.
/// Threads: one of each process. Writing is for signal handlers, too.
class run_tape {
 public:
  static constexpr std::size_t bytes_max = std::size_t{64} * 1024 * 1024;

  run_tape() noexcept;
  run_tape(const run_tape&) = delete;
  run_tape& operator=(const run_tape&) = delete;
  ~run_tape();

  void rewind() noexcept;
  template <class T>
  void put(const T& one) noexcept {
    put_all(std::span(&one, 1));
  }
  template <class T>
  void put_all(std::span<const T> all) noexcept {
    static_assert(std::is_trivially_copyable_v<T>);
    const std::size_t count = all.size();
    write(&count, sizeof count);
    write(all.data(), all.size_bytes());
  }
  void put_text(std::string_view text) noexcept { put_all(std::span(text)); }
  /// `number` of the signal.
  void end(run_end how, int number) noexcept;

  run_end how() const noexcept;
  int number() const noexcept;
  template <class T>
  std::vector<T> take_all() {
    std::size_t count = 0;
    read(&count, sizeof count);
    std::vector<T> all(room_for(count, sizeof(T)));
    read(all.data(), count * sizeof(T));
    return all;
  }
  template <class T>
  T take() {
    return take_all<T>().at(0);
  }
  std::string take_text() {
    const std::vector<char> all = take_all<char>();
    return {all.begin(), all.end()};
  }

 private:
  struct head;

  /// The same count, when so many are there.
  std::size_t room_for(std::size_t count, std::size_t bytes) const noexcept;
  void write(const void* from, std::size_t size) noexcept;
  void read(void* to, std::size_t size) noexcept;

  head* head_ = nullptr;  // what is written stands behind it
  std::size_t read_ = 0;
};

}  // namespace weir::testing::detail
