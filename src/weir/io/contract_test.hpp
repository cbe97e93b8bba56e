// For tests only: runs a test's body on every driver, so that all of them keep one contract.
#pragma once

#include <weir/core.hpp>
#include <weir/io/connection_test.hpp>
#include <weir/io/make_driver.hpp>
#include <weir/io/socket.hpp>
#include <weir/sim/virtual_driver.hpp>

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <ostream>
#include <string>
#include <thread>
#include <vector>

namespace weir::contract {

struct factory {
  const char* name;
  bool is_kernel;
  std::unique_ptr<driver> (*make)(driver_options options);
};
inline void PrintTo(const factory& f, std::ostream* out) { *out << f.name; }

template <const char* Name>
std::unique_ptr<driver> make_named(driver_options options) {
  options.name = Name;
  return make_driver(options);
}
inline constexpr char epoll_name[] = "epoll";
inline constexpr char uring_name[] = "io_uring";

inline bool has_uring() {
  static const bool found = [] {  // asked for once: every suite wants to know
    try {
      return make_driver({.name = uring_name}) != nullptr;
    } catch (const exception&) {
      return false;
    }
  }();
  return found;
}

/// Whether this machine has IPv6: a file of /proc says it also where it is switched off.
inline bool has_ipv6() {
  static const bool found = [] {
    raw_address where = value_or_raise(address::parse("[::1]:0")).raw();
    const std::unique_ptr<driver> io = make_driver({.name = epoll_name});
    const io_handle door = io->make_listener(where, {});
    if (door >= 0) io->close_now(door);
    return door >= 0;
  }();
  return found;
}

inline std::vector<factory> kernel_drivers() {
  std::vector<factory> all{{epoll_name, true, &make_named<epoll_name>}};
  if (has_uring()) all.push_back({"io_uring", true, &make_named<uring_name>});
  return all;
}

inline std::unique_ptr<driver> make_virtual(driver_options) {
  return std::make_unique<virtual_driver>(virtual_options{.threads = true});
}
// Seeds are fixed, so that a failure is found again by its test's name.
template <std::uint64_t Seed>
std::unique_ptr<driver> make_explored(driver_options) {
  virtual_options options = virtual_options::explored(Seed);
  options.threads = true;
  return std::make_unique<virtual_driver>(options);
}

inline std::vector<factory> all_drivers() {
  std::vector<factory> all = kernel_drivers();
  all.push_back({"virtual", false, &make_virtual});
  all.push_back({"virtual_seed_1", false, &make_explored<1>});
  all.push_back({"virtual_seed_2", false, &make_explored<2>});
  all.push_back({"virtual_seed_3", false, &make_explored<3>});
  return all;
}

inline std::string name_of(const ::testing::TestParamInfo<factory>& info) {
  return info.param.name;
}

/// The code of the error that a task or wait ends with; errc{} when it does not fail.
template <class Awaitable>
task<errc> code_of(Awaitable awaited) {
  auto outcome = co_await as_result(std::move(awaited));
  co_return outcome ? errc{} : outcome.error().code();
}

/// `size` bytes in which a piece that is lost, doubled or out of place shows.
inline std::string pattern(std::size_t size) {
  std::string made;
  made.reserve(size + 64'256);
  for (std::size_t i = 0; i < std::min<std::size_t>(size, 64'256); ++i) {
    made += static_cast<char>((i * 131 + i / 251) & 0xff);
  }
  // The sum repeats after 251 * 256 bytes, which is no multiple of any buffer's size.
  while (made.size() < size) made.append(made, 0, 64'256);
  made.resize(size);
  return made;
}

/// All that arrives until the end of the stream.
inline task<std::string> receive_all(socket& from) {
  std::string all;
  while (auto piece = co_await from.receive()) all += piece.text();
  co_return all;
}
/// At least `size` bytes.
inline task<std::string> receive_at_least(socket& from, std::size_t size) {
  std::string all;
  while (all.size() < size) {
    const bytes piece = co_await from.receive();
    if (!piece) break;
    all += piece.text();
  }
  co_return all;
}

/// Runs a test's body as a program of its own, on the driver that the test is instantiated with.
///
/// Cancel:  the program ends by itself.
/// Order:   none.
/// Bound:   a folder of its own, removed at the end.
/// Errors:  one that leaves the body fails the test.
/// Threads: the test's.
class fixture : public ::testing::TestWithParam<factory> {
 public:
  ~fixture() override {
    set_unhandled_handler(before_);
    std::filesystem::remove_all(folder_);
  }

 protected:
  fixture() : folder_(make_folder()) {
    before_ = set_unhandled_handler(
        [](const unhandled_error& e) noexcept { ADD_FAILURE() << "unhandled: " << e.text; });
  }

  /// Runs body() as the program, on a fresh driver.
  template <class Body>
  void run(Body body, driver_options options = {}) {
    const std::unique_ptr<driver> io = GetParam().make(options);
    run_on(*io, body());
  }
  std::string path(const std::string& name) const {
    return is_kernel() ? folder_ + "/" + name : "/" + name;
  }
  bool is_kernel() const { return GetParam().is_kernel; }

 private:
  static std::string make_folder() {
    std::string name = ::testing::TempDir() + "weir-io-XXXXXX";
    return ::mkdtemp(name.data());
  }
  std::string folder_;
  unhandled_handler before_ = nullptr;
};

}  // namespace weir::contract
