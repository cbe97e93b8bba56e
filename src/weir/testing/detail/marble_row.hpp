// The rows of marble diagrams: what was drawn, what came, and where they part. Without the types of
// items, which are letters here.
#pragma once

#include <weir/base/error.hpp>
#include <weir/base/time.hpp>
#include <weir/core/task.hpp>

#include <concepts>
#include <cstdint>
#include <map>
#include <optional>
#include <source_location>
#include <string>
#include <string_view>
#include <vector>

namespace weir::testing {

inline constexpr std::uint32_t marble_frames_max = 10'000;  // of a diagram
inline constexpr std::uint32_t marble_frames_after = 20;    // are waited for an end that is late

namespace detail {

enum class marble_kind : std::uint8_t { item, end, failure, ask, leave };

struct marble {
  std::uint32_t frame = 0;
  marble_kind kind = marble_kind::item;
  char letter = 0;  // of an item

  bool operator==(const marble&) const = default;
};

/// A diagram; its length counts frames in which nothing happens, too.
struct marble_row {
  std::vector<marble> marbles{};
  std::uint32_t frames = 0;

  void add(marble one);
  bool has_end() const noexcept;
};

/// Items, '|' and '#'; raises `invalid_argument` with the position.
marble_row parse_marbles(std::string_view diagram);
/// 'r', '2' ... '9' and '!'.
marble_row parse_demand(std::string_view row);
/// "a-(bc)|": reads back as the same row.
std::string text_of(const marble_row& row);

struct named_row {
  std::string name;
  const marble_row* row;
};
/// The rows below one another, frame below frame, and a caret below one of them.
std::string aligned(const std::vector<named_row>& rows, std::uint32_t caret_frame,
                    std::string_view remark);

[[noreturn]] void refuse_letter(char letter);

template <class T>
T default_marble(char letter) {
  if constexpr (std::same_as<T, char>) {
    return letter;
  } else if constexpr (std::constructible_from<T, std::string>) {
    return T(std::string(1, letter));
  } else if constexpr (std::integral<T> && !std::same_as<T, bool>) {
    if (letter >= '0' && letter <= '9') return static_cast<T>(letter - '0');
    refuse_letter(letter);
  } else {
    refuse_letter(letter);
  }
}
template <class T>
T marble_value(const std::map<char, T>& values, char letter) {
  const auto found = values.find(letter);
  return found == values.end() ? default_marble<T>(letter) : found->second;
}
template <class T>
bool is_default_of(const T& item, char letter) {
  if constexpr (std::same_as<T, char>) {
    return item == letter;
  } else if constexpr (std::constructible_from<T, std::string>) {
    return item == T(std::string(1, letter));
  } else if constexpr (std::integral<T> && !std::same_as<T, bool>) {
    return letter >= '0' && letter <= '9' && item == static_cast<T>(letter - '0');
  } else {
    return false;
  }
}
/// The letter that stands for the item: `likely` where it does, for two may stand for one.
template <class T>
std::optional<char> letter_of(const std::map<char, T>& values, const T& item, char likely) {
  const auto stands = [&](char letter) {
    const auto found = values.find(letter);
    return found == values.end() ? is_default_of(item, letter) : found->second == item;
  };
  if (likely != 0 && stands(likely)) return likely;
  for (const auto& [letter, value] : values) {
    if (value == item) return letter;
  }
  for (const char letter :
       std::string_view("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")) {
    if (stands(letter)) return letter;
  }
  return std::nullopt;
}

/// A diagram that is played, and what was asked of it.
class marble_play {
 public:
  marble_play(marble_row plan, duration frame);

  /// Raises `invalid_argument` for a diagram with '#'.
  void refuse_failure() const;
  /// Frame 0 is now. Once.
  void begin();
  const std::vector<marble>& plan() const noexcept { return plan_.marbles; }
  time_point time_of(std::uint32_t frame) const noexcept;
  void note_ask();
  void note_end() noexcept { has_ended_ = true; }
  void note_leave() noexcept;
  std::string demand() const { return text_of(asked_); }
  const marble_row& asked() const noexcept { return asked_; }

 private:
  marble_row plan_;
  marble_row asked_;
  duration frame_;
  time_point begin_;
  bool has_begun_ = false;
  bool has_ended_ = false;
};

/// Notes that the consumer left, unless the end came first.
class marble_leave {
 public:
  explicit marble_leave(marble_play& of) noexcept : of_(of) {}
  marble_leave(const marble_leave&) = delete;
  marble_leave& operator=(const marble_leave&) = delete;
  ~marble_leave() { of_.note_leave(); }

 private:
  marble_play& of_;
};

void check_demand(const marble_play& play, std::string_view row, std::source_location place);

/// A consumer that asks as its demand row says, and what it got.
class marble_watch {
 public:
  marble_watch(std::string_view diagram, std::string_view demand, duration frame, errc failure,
               std::source_location place);

  /// Waits for the next frame in which the row asks; false: it asks no more.
  task<bool> wait_demand();
  /// How long an answer is waited for; nothing: the time is over.
  duration begin_ask();
  /// Until the consumer leaves, when it asks no more.
  task<> wait_rest();

  void note_item(char letter);
  void note_stranger(std::string text);
  void note_end();
  /// False: no error of the source's, the time was over.
  bool note_failure(const error& why);
  bool has_ended() const noexcept { return came_.has_end(); }
  /// Of the item that is to come next; 0 when none is.
  char expected_letter() const noexcept;
  /// Fails the test when it did not come as drawn.
  void check() const;

 private:
  std::uint32_t frame_now() const;
  time_point end_of(std::uint32_t frame) const noexcept;
  std::string difference(std::size_t at) const;

  marble_row expected_;
  std::optional<marble_row> wanted_;  // demand
  marble_row came_;
  marble_row asked_;
  duration frame_;
  errc failure_;
  std::source_location place_;
  time_point begin_;
  time_point until_;
  std::size_t asks_ = 0;                // made
  bool leaves_ = false;                 // the demand row has '!'
  std::vector<std::string> strangers_;  // items without a letter, in words
  std::optional<error> failed_;
};

}  // namespace detail
}  // namespace weir::testing
