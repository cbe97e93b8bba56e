#include <weir/testing/marbles.hpp>

#include <weir/base/assert.hpp>
#include <weir/base/text.hpp>
#include <weir/core/frame.hpp>
#include <weir/testing/detail/fail_at.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <utility>

namespace weir::testing::detail {

namespace {

constexpr std::uint32_t columns_before = 50;  // of frames that are shown before the caret
constexpr std::uint32_t columns_after = 20;

// Reads a diagram, frame by frame.
class diagram_reader {
 public:
  diagram_reader(std::string_view text, bool is_demand) : text_(text), is_demand_(is_demand) {}

  marble_row read() {
    if (text_.empty()) refuse("it is empty: write '-' for a frame in which nothing happens");
    for (; at_ < text_.size(); ++at_) {
      if (row_.frames >= marble_frames_max) {
        refuse(fmt::format("over {} frames", marble_frames_max));
      }
      read_frame();
      if (!is_in_group_) ++row_.frames;
    }
    if (is_in_group_) {
      at_ = group_at_;
      refuse("this group has no ')'");
    }
    return std::move(row_);
  }

 private:
  void read_frame() {
    const char sign = text_[at_];
    if (sign == '(') {
      if (is_in_group_) refuse("a group in a group");
      is_in_group_ = true;
      group_at_ = at_;
    } else if (sign == ')') {
      if (!is_in_group_) refuse("no group is open");
      if (at_ == group_at_ + 1) refuse("an empty group: write '-'");
      is_in_group_ = false;
    } else if (has_ended_) {
      refuse(is_demand_ ? "nothing can be asked after '!'" : "nothing comes after the end");
    } else if (sign == '-') {
      if (is_in_group_) refuse("a group is one frame: no '-' in it");
    } else if (is_demand_) {
      read_demand(sign);
    } else {
      read_item(sign);
    }
  }
  void read_item(char sign) {
    if (sign == '|') {
      add(marble_kind::end);
    } else if (sign == '#') {
      add(marble_kind::failure);
    } else if (std::isalnum(static_cast<unsigned char>(sign)) != 0) {
      add(marble_kind::item, sign);
    } else if (sign == '!') {
      refuse("'!' stands in a demand row: it is the consumer that leaves");
    } else {
      refuse("items are letters and digits; else '-', '|', '#', '(' and ')' are known");
    }
  }
  void read_demand(char sign) {
    if (sign == '!') {
      add(marble_kind::leave);
    } else if (sign == 'r') {
      add(marble_kind::ask);
    } else if (sign >= '2' && sign <= '9') {
      for (char count = '0'; count < sign; ++count) add(marble_kind::ask);
    } else {
      refuse("a demand row has 'r', '2' to '9', '!', '-', '(' and ')'");
    }
  }
  void add(marble_kind kind, char letter = 0) {
    row_.marbles.push_back({.frame = row_.frames, .kind = kind, .letter = letter});
    has_ended_ = kind != marble_kind::item && kind != marble_kind::ask;
  }
  [[noreturn]] void refuse(std::string_view why) const {
    raise(
        error(errc::invalid_argument, fmt::format("{} at position {}: {}\n  {}\n  {:>{}}",
                                                  is_demand_ ? "a demand row" : "a marble diagram",
                                                  at_ + 1, why, text_, '^', at_ + 1)));
  }

  std::string_view text_;
  bool is_demand_;
  marble_row row_;
  std::size_t at_ = 0;
  std::size_t group_at_ = 0;
  bool is_in_group_ = false;
  bool has_ended_ = false;
};

// What happens in a frame, from row.marbles[at] on; `at` goes to the first of a later frame.
std::string take_cell(const marble_row& row, std::uint32_t frame, std::size_t& at) {
  std::string signs;
  int asks = 0;
  const auto put_asks = [&] {
    for (; asks > 1; asks -= std::min(asks, 9)) signs += static_cast<char>('0' + std::min(asks, 9));
    if (asks == 1) signs += 'r';
    asks = 0;
  };
  for (; at < row.marbles.size() && row.marbles[at].frame <= frame; ++at) {
    const marble& one = row.marbles[at];
    if (one.frame < frame) continue;
    if (one.kind == marble_kind::ask) {
      ++asks;
      continue;
    }
    put_asks();
    if (one.kind == marble_kind::item) signs += one.letter;
    if (one.kind == marble_kind::end) signs += '|';
    if (one.kind == marble_kind::failure) signs += '#';
    if (one.kind == marble_kind::leave) signs += '!';
  }
  put_asks();
  if (signs.empty()) return "-";
  return signs.size() == 1 ? signs : "(" + signs + ")";
}

std::string words_of(const marble& one) {
  switch (one.kind) {
    case marble_kind::item:
      return std::string(1, one.letter);
    case marble_kind::end:
      return "the end";
    case marble_kind::failure:
      return "an error";
    case marble_kind::ask:
      return "a request";
    case marble_kind::leave:
      return "the consumer leaving";
  }
  return "?";
}

// Where two rows part; npos when they don't.
std::size_t parting(const marble_row& a, const marble_row& b) {
  const std::size_t shared = std::min(a.marbles.size(), b.marbles.size());
  for (std::size_t i = 0; i < shared; ++i) {
    if (a.marbles[i] != b.marbles[i]) return i;
  }
  return a.marbles.size() == b.marbles.size() ? std::string::npos : shared;
}

struct difference_place {
  std::uint32_t frame;
  std::string words;
};
difference_place place_of(const marble_row& expected, const marble_row& came, std::size_t at) {
  const marble* wanted = at < expected.marbles.size() ? &expected.marbles[at] : nullptr;
  const marble* got = at < came.marbles.size() ? &came.marbles[at] : nullptr;
  const std::uint32_t frame = std::min(wanted ? wanted->frame : got->frame,  //
                                       got ? got->frame : wanted->frame);
  std::string words = wanted
                          ? fmt::format("expected {} in frame {}", words_of(*wanted), wanted->frame)
                          : "expected nothing more";
  words += got ? fmt::format(", came {} in frame {}", words_of(*got), got->frame)
               : ", came nothing more";
  return {frame, words};
}

time_point now_in_test() {
  WEIR_ASSERT(loop::current() && "marbles are played inside of a running task");
  return loop::current()->now();
}

std::uint32_t frame_between(time_point begin, time_point now, duration frame) {
  return static_cast<std::uint32_t>((now - begin).ns / frame.ns);
}

void check_frame(duration frame) {
  if (frame.ns < 2) raise(error(errc::invalid_argument, "a frame of marbles has at least 2 ns"));
}

}  // namespace

void marble_row::add(marble one) {
  marbles.push_back(one);
  frames = std::max(frames, one.frame + 1);
}

bool marble_row::has_end() const noexcept {
  return !marbles.empty() &&
         (marbles.back().kind == marble_kind::end || marbles.back().kind == marble_kind::failure);
}

marble_row parse_marbles(std::string_view diagram) { return diagram_reader(diagram, false).read(); }
marble_row parse_demand(std::string_view row) { return diagram_reader(row, true).read(); }

std::string text_of(const marble_row& row) {
  std::string text;
  std::size_t at = 0;
  for (std::uint32_t frame = 0; frame < row.frames; ++frame) text += take_cell(row, frame, at);
  return text;
}

std::string aligned(const std::vector<named_row>& rows, std::uint32_t caret_frame,
                    std::string_view remark) {
  std::uint32_t end = 0;
  std::size_t margin = 0;
  for (const named_row& one : rows) {
    end = std::max(end, one.row->frames);
    margin = std::max(margin, one.name.size());
  }
  const std::uint32_t first = caret_frame > columns_before ? caret_frame - columns_before : 0;
  end = std::max(std::min(end, caret_frame + columns_after), caret_frame + 1);

  std::vector<std::string> lines;
  std::vector<std::size_t> next(rows.size());
  for (const named_row& one : rows) {
    lines.push_back(fmt::format("  {:<{}} {}", one.name + ":", margin + 1, first ? "..." : ""));
  }
  std::string caret(lines.empty() ? 0 : lines.front().size(), ' ');
  for (std::uint32_t frame = first; frame < end; ++frame) {
    std::vector<std::string> cells;
    std::size_t width = 1;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const bool is_there = frame < rows[i].row->frames;
      cells.push_back(is_there ? take_cell(*rows[i].row, frame, next[i]) : "");
      width = std::max(width, cells.back().size());
    }
    for (std::size_t i = 0; i < rows.size(); ++i) {
      lines[i] += fmt::format("{:<{}}", cells[i], width);
    }
    if (frame < caret_frame) caret.append(width, ' ');
  }
  std::string text;
  for (std::string& line : lines) {
    line.resize(line.find_last_not_of(' ') + 1);
    text += line + '\n';
  }
  return text + caret + "^ " + std::string(remark) + '\n';
}

void refuse_letter(char letter) {
  raise(
      error(errc::invalid_argument, fmt::format("the marble '{}' has no value: give it one, as in "
                                                "{{{{'{}', ...}}}}",
                                                letter, letter)));
}

marble_play::marble_play(marble_row plan, duration frame) : plan_(std::move(plan)), frame_(frame) {
  check_frame(frame);
}

void marble_play::refuse_failure() const {
  if (plan_.has_end() && plan_.marbles.back().kind == marble_kind::failure) {
    raise(error(errc::invalid_argument, "a channel carries no '#': close it with '|'"));
  }
}

void marble_play::begin() {
  WEIR_ASSERT(!has_begun_ && "a marble_source is played once");
  has_begun_ = true;
  begin_ = now_in_test();
}

time_point marble_play::time_of(std::uint32_t frame) const noexcept {
  return begin_ + frame_ * frame;
}

void marble_play::note_ask() {
  asked_.add({.frame = frame_between(begin_, now_in_test(), frame_), .kind = marble_kind::ask});
}

void marble_play::note_leave() noexcept {
  const weir::detail::world_runs noting;  // which needs memory, whatever the program has
  if (has_ended_ || !loop::current()) return;
  asked_.add({.frame = frame_between(begin_, now_in_test(), frame_), .kind = marble_kind::leave});
}

void check_demand(const marble_play& play, std::string_view row, std::source_location place) {
  const marble_row expected = parse_demand(row);
  const std::size_t at = parting(expected, play.asked());
  if (at == std::string::npos) return;
  const difference_place where = place_of(expected, play.asked(), at);
  fail_at(place,
          "the demand differs\n" + aligned({{"expected", &expected}, {"asked", &play.asked()}},
                                           where.frame, where.words));
}

marble_watch::marble_watch(std::string_view diagram, std::string_view demand, duration frame,
                           errc failure, std::source_location place)
    : expected_(parse_marbles(diagram)),
      frame_(frame),
      failure_(failure),
      place_(place),
      begin_(now_in_test()) {
  check_frame(frame);
  std::uint32_t last = expected_.frames - 1;
  if (expected_.has_end()) last += marble_frames_after;
  if (!demand.empty()) {
    wanted_ = parse_demand(demand);
    const marble* end = wanted_->marbles.empty() ? nullptr : &wanted_->marbles.back();
    leaves_ = end && end->kind == marble_kind::leave;
    last = leaves_ ? end->frame : std::max(last, wanted_->frames - 1);
  }
  until_ = end_of(last);
}

time_point marble_watch::end_of(std::uint32_t frame) const noexcept {
  return begin_ + frame_ * (std::int64_t{frame} + 1) - duration::nanoseconds(1);
}

std::uint32_t marble_watch::frame_now() const {
  return frame_between(begin_, now_in_test(), frame_);
}

task<bool> marble_watch::wait_demand() {
  if (!wanted_) co_return true;
  if (asks_ >= wanted_->marbles.size()) co_return false;
  const marble& next = wanted_->marbles[asks_];
  if (next.kind != marble_kind::ask) co_return false;
  co_await sleep_until(begin_ + frame_ * next.frame);
  co_return true;
}

duration marble_watch::begin_ask() {
  const duration left = until_ - now_in_test();
  if (left > duration()) {
    ++asks_;
    asked_.add({.frame = frame_now(), .kind = marble_kind::ask});
  }
  return left;
}

task<> marble_watch::wait_rest() {
  if (has_ended()) co_return;
  co_await sleep_until(until_);
  came_.frames = std::max(came_.frames, frame_now() + 1);
  if (leaves_) asked_.add({.frame = frame_now(), .kind = marble_kind::leave});
}

void marble_watch::note_item(char letter) {
  came_.add({.frame = frame_now(), .kind = marble_kind::item, .letter = letter});
}

void marble_watch::note_stranger(std::string text) {
  strangers_.push_back(fmt::format("  '?' in frame {} is {}\n", frame_now(), text));
  note_item('?');
}

void marble_watch::note_end() { came_.add({.frame = frame_now(), .kind = marble_kind::end}); }

bool marble_watch::note_failure(const error& why) {
  if (why == errc::timed_out && now_in_test() >= until_) return false;
  // This task's own cancellation: the next wait ends it.
  if (why == errc::cancelled && weir::detail::running_task->is_cancelled()) return false;
  came_.add({.frame = frame_now(), .kind = marble_kind::failure});
  failed_ = why;
  return true;
}

char marble_watch::expected_letter() const noexcept {
  const std::size_t at = came_.marbles.size();
  return at < expected_.marbles.size() ? expected_.marbles[at].letter : '\0';
}

void marble_watch::check() const {
  const std::size_t at = parting(expected_, came_);
  if (at != std::string::npos) {
    fail_at(place_, difference(at));
  } else if (failed_ && failure_ != errc{} && !(*failed_ == failure_)) {
    fail_at(place_,
            fmt::format("the marble '#' is {}, expected {}", describe(*failed_), name(failure_)));
  }
}

std::string marble_watch::difference(std::size_t at) const {
  const difference_place where = place_of(expected_, came_, at);
  std::string text = fmt::format("the marbles differ after {}\n",
                                 format_duration(frame_ * std::int64_t{where.frame}));
  text += aligned({{"asked", &asked_}, {"expected", &expected_}, {"came", &came_}}, where.frame,
                  where.words);
  for (const std::string& one : strangers_) text += one;
  if (failed_) text += fmt::format("  '#' is {}\n", describe(*failed_));
  return text;
}

}  // namespace weir::testing::detail
