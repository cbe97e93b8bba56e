// What the rules of drivers ask a driver, and whether its answers come as they should: once, from
// wait() and from nowhere else, or at once from submit(). The hard idea: a wrong driver must fail a
// test and not hang it, so every wait has a bound in the driver's own time and in number.
#pragma once

#include <weir/core/driver.hpp>
#include <weir/testing/contracts/driver_contract.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace weir::testing {

class driver_desk;

/// A request that knows what it was told.
struct asked : io_request {
  driver_desk* of = nullptr;
  int tellings = 0;           // calls of on_complete
  bool was_complete = false;  // submit() said so
  void (*then)(asked&) noexcept = nullptr;
  // What it points to, which must be there for as long as a driver that lost it may look.
  std::array<char, 64> space{};
  io_slice piece;
  raw_address peer;
  io_datagram datagram;
  std::string path_of_its_own;
  std::string path_to_of_its_own;
  int calls = 0;

  void point_to_piece(std::string_view text) noexcept {
    piece = {.data = text.data(), .size = text.size()};
    slices = &piece;
    slice_count = 1;
  }
  void point_to_space(std::size_t count) noexcept {
    memory = space.data();
    size = count;
  }
  void point_to_peer(const raw_address& at) noexcept {
    peer = at;
    address = &peer;
  }
  bool is_over() const noexcept { return was_complete || tellings != 0; }
};

/// Both ends of a connection.
struct joined {
  io_handle client = -1;
  io_handle server = -1;
};

class driver_desk {
 public:
  static constexpr std::int64_t no_answer = -1'000'000;
  static constexpr int turns_max = 10'000;

  driver_desk(std::unique_ptr<driver> on, const driver_kit& kit) : kit_(kit), io_(std::move(on)) {}
  driver_desk(const driver_desk&) = delete;
  driver_desk& operator=(const driver_desk&) = delete;
  ~driver_desk();

  driver& io() noexcept { return *io_; }
  std::string folder() const { return kit_.folder(); }

  asked& make(io_op op, io_handle handle = -1);
  /// True: it is complete.
  bool start(asked& one);
  /// One wait().
  void wait(time_point until);
  /// What can be delivered now.
  void look() { wait(io_->now()); }
  /// False when it does not come.
  template <class Condition>
  bool wait_until(Condition is_there) {
    const time_point until = io_->now() + driver_patience;
    for (int turns = 0; !is_there(); ++turns) {
      if (turns == turns_max || io_->now() >= until) return false;
      wait(until);
    }
    return true;
  }
  /// Its outcome; no_answer, and a failure of the test, when there is none.
  std::int64_t finish(asked& one);
  std::int64_t run(asked& one);
  /// At the end of a rule: nothing is told twice.
  void check_tellings();

  // What several rules need.
  io_handle keep(io_handle one);  // it is closed in the end
  io_handle listen(raw_address& at);
  joined join(io_handle door, const raw_address& at);
  joined join();
  void send_all(io_handle on, std::string_view text);
  void shutdown(io_handle on);
  /// What has come with it.
  static std::string taken(asked& one);
  /// Until the end of the stream, or `count` bytes.
  std::string receive(io_handle on, std::size_t count = SIZE_MAX);

  std::string text;  // a rule's own

 private:
  const driver_kit& kit_;
  std::deque<asked> requests_;  // before the driver, which may know those that it has lost
  std::vector<io_handle> open_;
  bool is_waiting_ = false;
  std::unique_ptr<driver> io_;
};

raw_address loopback(int port);
int port_of(const raw_address& at);

}  // namespace weir::testing
