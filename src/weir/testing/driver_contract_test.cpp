// The contract of drivers: over the virtual world's, and over wrong ones. io/kernel_driver_test.cpp
// runs it over the kernel's.
#include <weir/testing/contracts/driver_contract.hpp>

#include <weir/sim/virtual_driver.hpp>
#include <weir/testing/internal/caught_failures.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace weir::driver_contract_test {
namespace {

// [kit]
struct virtual_drivers {
  static std::unique_ptr<driver> make() {
    return std::make_unique<virtual_driver>(virtual_options{.threads = true});
  }
  static std::string folder() { return "/"; }
};
WEIR_DRIVER_CONTRACT(virtual_drivers);
// [/kit]

// Transfers in pieces, and answers now from submit() and now from wait().
struct explored_drivers : virtual_drivers {
  static std::unique_ptr<driver> make() {
    virtual_options options = virtual_options::explored(1);
    options.threads = true;
    return std::make_unique<virtual_driver>(options);
  }
};
WEIR_DRIVER_CONTRACT(explored_drivers);

// What may be wrong with a driver.
enum class fault : std::uint8_t {
  none,
  clock_goes_back,
  has_no_wall_clock,
  wall_clock_stands,
  waits_end_early,
  loses_wake_ups,
  draws_one_number,
  never_waits_for_io,
  calls_twice,
  hides_the_port,
  hides_who_comes,
  loses_bytes,
  tells_in_submit,
  tells_twice,
  tells_what_was_complete,
  forgets_requests_of_callbacks,
  is_ready_at_once,
  ignores_cancel,
  tells_in_cancel,
  drops_what_came,
  closes_silently,
  positive_errors,
  breaks_pipes,
  cuts_datagrams,
  writes_nothing,
  renames_to_new_names_only,
  goes_by_paths_only,
  other_file_errors,
  locks_for_all,
};
fault planted = fault::none;

// A driver around a right one.
class wrong_driver final : public driver {
 public:
  const char* name() const noexcept override { return "wrong"; }
  time_point now() noexcept override {
    const time_point right = in_.now();
    const bool is_back = planted == fault::clock_goes_back && ++looks_ % 2 == 0;
    return is_back ? right - duration::milliseconds(1) : right;
  }
  time_point wall_now() noexcept override {
    if (planted == fault::has_no_wall_clock) return time_point();
    return planted == fault::wall_clock_stands ? start_ : in_.wall_now();
  }
  std::uint64_t random() noexcept override {
    return planted == fault::draws_one_number ? 4 : in_.random();
  }

  bool submit(io_request& request) noexcept override {
    if (planted == fault::is_ready_at_once && request.op == io_op::poll) {
      request.outcome = request.flags;
      return true;
    }
    if (planted == fault::calls_twice && request.op == io_op::run_blocking)
      request.function(request.memory);
    if (planted == fault::writes_nothing && request.op == io_op::write_at) {
      request.outcome = static_cast<std::int64_t>(request.slices[0].size);
      return true;
    }
    if (planted == fault::hides_who_comes && request.op == io_op::accept) request.address = nullptr;
    file_status found;
    if (planted == fault::renames_to_new_names_only && request.op == io_op::rename &&
        in_.status_of(request.path_to, found) == 0) {
      request.outcome = -EEXIST;
      return true;
    }
    const bool has_path =
        request.op == io_op::open || request.op == io_op::rename || request.op == io_op::remove;
    if (planted == fault::goes_by_paths_only && has_path) request.handle = -1;
    if (planted == fault::cuts_datagrams && request.op == io_op::send_datagrams)
      --static_cast<io_datagram*>(request.memory)->piece.size;
    tellers_[&request] = request.on_complete;
    request.on_complete = [](io_request& one) noexcept { current_->tell(one); };
    current_ = this;
    if (!in_.submit(request)) return false;
    request.on_complete = std::exchange(tellers_[&request], nullptr);
    spoil(request);
    if (planted == fault::tells_in_submit) return request.on_complete(request), false;
    if (planted == fault::tells_what_was_complete) late_ = &request;
    return true;
  }
  void cancel(io_request& request) noexcept override {
    if (planted == fault::ignores_cancel) return;
    in_.cancel(request);
    if (planted == fault::drops_what_came) dropped_ = &request;
    if (planted == fault::tells_in_cancel) in_.wait(in_.now());
  }
  void wait(time_point until) noexcept override {
    current_ = this;
    if (io_request* told = std::exchange(late_, nullptr)) told->on_complete(*told);
    in_.wait(planted == fault::waits_end_early ? in_.now() : until);
  }
  void wake() noexcept override {
    if (planted != fault::loses_wake_ups) in_.wake();
  }
  bool is_waiting_for_io() const noexcept override {
    return planted != fault::never_waits_for_io && in_.is_waiting_for_io();
  }

  io_handle make_socket(int family) noexcept override { return in_.make_socket(family); }
  io_handle make_listener(raw_address& address, const listen_options& options) noexcept override {
    raw_address bound = address;
    const io_handle made = in_.make_listener(bound, options);
    if (planted != fault::hides_the_port) address = bound;
    return made;
  }
  io_handle make_datagram_socket(int family, raw_address& address,
                                 const listen_options& options) noexcept override {
    return in_.make_datagram_socket(family, address, options);
  }
  int make_pipe(io_handle (&ends)[2]) noexcept override {
    const int made = in_.make_pipe(ends);
    if (planted == fault::breaks_pipes) std::swap(ends[0], ends[1]);
    return made;
  }
  int address_of(io_handle handle, bool peer, raw_address& out) noexcept override {
    return in_.address_of(handle, peer, out);
  }
  int set_option(io_handle handle, int level, int option, int value) noexcept override {
    return in_.set_option(handle, level, option, value);
  }
  int status_of(const char* path, file_status& out) noexcept override {
    return in_.status_of(path, out);
  }
  int status_of(io_handle handle, file_status& out) noexcept override {
    return in_.status_of(handle, out);
  }
  int list_dir(const char* path, void (*visit)(void*, const char* name),
               void* context) noexcept override {
    return in_.list_dir(path, visit, context);
  }
  int lock_file(io_handle handle) noexcept override {
    return planted == fault::locks_for_all ? 0 : in_.lock_file(handle);
  }
  void close_now(io_handle handle) noexcept override {
    if (planted != fault::closes_silently) in_.close_now(handle);
  }
  bool can_be_woken() const noexcept override { return in_.can_be_woken(); }

 private:
  void tell(io_request& request) noexcept {
    const auto teller = std::exchange(tellers_[&request], nullptr);
    request.on_complete = teller;
    spoil(request);
    if (dropped_ == &request && request.outcome > 0) {
      request.outcome = -ECANCELED;
      request.received = {};
    }
    teller(request);
    if (planted == fault::tells_twice && !tellers_[&request]) teller(request);
    if (planted == fault::forgets_requests_of_callbacks) {
      if (tellers_[&request]) in_.cancel(request);
      tellers_[&request] = [](io_request&) noexcept {};
    }
  }
  static void spoil(io_request& request) noexcept {
    if (planted == fault::positive_errors && request.outcome < 0) request.outcome *= -1;
    if (planted == fault::other_file_errors && request.outcome == -ENOENT) request.outcome = -EIO;
    if (planted == fault::loses_bytes && request.op == io_op::receive && request.outcome > 1)
      request.received = request.received.slice(0, static_cast<std::size_t>(--request.outcome));
  }

  inline static wrong_driver* current_ = nullptr;
  virtual_driver in_{virtual_options{.queued_chance = 0.5, .threads = true}};
  std::unordered_map<io_request*, void (*)(io_request&) noexcept> tellers_;
  time_point start_ = in_.wall_now();
  io_request* late_ = nullptr;
  io_request* dropped_ = nullptr;
  int looks_ = 0;
};

struct wrong_drivers : virtual_drivers {
  static std::unique_ptr<driver> make() { return std::make_unique<wrong_driver>(); }
};

// The rules that a driver with this fault breaks, one to a line.
std::string broken(fault one) {
  planted = one;
  std::string all;
  for (const std::string& rule :
       testing::broken_rules(testing::driver_contract<wrong_drivers>::rules())) {
    all += rule + "\n";
  }
  planted = fault::none;
  return all;
}

TEST(DriverContract, is_kept_by_a_right_driver) { EXPECT_EQ(broken(fault::none), ""); }

constexpr struct {
  fault planted;
  const char* rule;
} findings[] = {
    {fault::clock_goes_back, "the clock never goes back"},
    {fault::has_no_wall_clock, "the wall clock tells the time since 1970"},
    {fault::wall_clock_stands, "the wall clock tells the time since 1970"},
    {fault::waits_end_early, "a wait for nothing ends not before its time"},
    {fault::loses_wake_ups, "a wake-up from any thread ends a wait, or the next one"},
    {fault::draws_one_number, "random numbers differ"},
    {fault::never_waits_for_io, "a call that blocks runs once, and the driver waits for it"},
    {fault::calls_twice, "a call that blocks runs once, and the driver waits for it"},
    {fault::hides_the_port, "a listener tells its port"},
    {fault::hides_who_comes, "a listener tells its port"},
    {fault::loses_bytes, "bytes arrive in order"},
    {fault::tells_in_submit, "bytes arrive in order"},
    {fault::tells_twice, "of many that wait each hears of its own end"},
    {fault::tells_what_was_complete, "bytes arrive in order"},
    {fault::forgets_requests_of_callbacks, "a request is its owner's again"},
    {fault::is_ready_at_once, "readiness is waited for"},
    {fault::ignores_cancel, "what is cancelled ends once with ECANCELED"},
    {fault::tells_in_cancel, "what is cancelled ends once with ECANCELED, from a wait"},
    {fault::drops_what_came, "a cancel that comes late loses nothing"},
    {fault::closes_silently, "closing ends what waits for the handle"},
    {fault::positive_errors, "errors are negative numbers of errno"},
    {fault::breaks_pipes, "a pipe takes bytes"},
    {fault::cuts_datagrams, "a datagram arrives whole"},
    {fault::writes_nothing, "what was written to a file is read"},
    {fault::renames_to_new_names_only, "what was written to a file is read"},
    {fault::goes_by_paths_only, "what is done by a name in an open directory is done there"},
    {fault::other_file_errors, "errors of files are those of errno"},
    {fault::locks_for_all, "a file is locked by one handle"},
};

TEST(DriverContract, finds_what_is_wrong_with_a_driver) {
  for (const auto& one : findings) {
    EXPECT_NE(broken(one.planted).find(one.rule), std::string::npos) << one.rule;
  }
}

TEST(DriverContract, has_no_rule_that_no_driver_breaks_here) {
  for (const auto& rule : testing::driver_contract<virtual_drivers>::rules()) {
    EXPECT_TRUE(std::ranges::any_of(findings, [&](const auto& one) {
      return std::string_view(rule.sentence).starts_with(one.rule);
    })) << rule.sentence;
  }
}

TEST(DriverContract, asks_nothing_of_files_where_there_are_none) {
  struct without_files {
    static std::unique_ptr<driver> make() { return virtual_drivers::make(); }
  };
  EXPECT_EQ(testing::driver_contract<without_files>::rules().size() + 4,
            testing::driver_contract<virtual_drivers>::rules().size());
}

}  // namespace
}  // namespace weir::driver_contract_test
