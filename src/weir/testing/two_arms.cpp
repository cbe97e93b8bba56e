#include <weir/testing/two_arms.hpp>

#include <weir/core/run.hpp>
#include <weir/core/unhandled.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/io/make_driver.hpp>
#include <weir/sim/ended_worlds.hpp>
#include <weir/testing/detail/fail_at.hpp>
#include <weir/testing/detail/test_names.hpp>
#include <weir/testing/internal/test_register.hpp>

#include <sys/wait.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace weir::testing {

namespace {

constexpr const char* kernel_drivers[] = {"epoll", "io_uring"};

// What the process has open: "7 socket:[17]".
std::set<std::string> open_descriptors() {
  std::set<std::string> found;
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", failed)) {
    const std::string target = std::filesystem::read_symlink(entry.path(), failed).string();
    if (!failed) found.insert(entry.path().filename().string() + " " + target);
  }
  return found;
}

// Sockets and pipes among them. Others, such as files of libraries, may come and go.
std::set<std::string> open_streams() {
  std::set<std::string> found = open_descriptors();
  std::erase_if(found, [](const std::string& one) {
    return one.find(" socket:") == std::string::npos && one.find(" pipe:") == std::string::npos;
  });
  return found;
}

// The driver of one run. Where something is open after it that was not before, a static variable
// may hold it and close it later, on this driver: it is kept, as an ended world is.
class driver_of_run {
 public:
  explicit driver_of_run(std::shared_ptr<driver> io)
      : io_(std::move(io)), before_(open_descriptors()) {}
  driver_of_run(const driver_of_run&) = delete;
  driver_of_run& operator=(const driver_of_run&) = delete;
  ~driver_of_run() {
    const std::set<std::string> after = open_descriptors();
    if (!std::ranges::includes(before_, after)) weir::detail::keep_ended_world(std::move(io_));
  }

 private:
  std::shared_ptr<driver> io_;
  std::set<std::string> before_;
};

// Also one that has ended and was not waited for.
bool has_children() {
  siginfo_t info = {};
  return ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

// What was unhandled during one run.
thread_local std::vector<std::string>* heard = nullptr;

class listener_of_errors {
 public:
  explicit listener_of_errors(std::vector<std::string>* into)
      : before_(set_unhandled_handler([](const unhandled_error& what) noexcept {
          if (!heard) {
            std::fprintf(stderr, "an error on another thread than the test's: %s\n", what.text);
            std::abort();
          }
          heard->emplace_back(what.text);
        })) {
    heard = into;
  }
  listener_of_errors(const listener_of_errors&) = delete;
  listener_of_errors& operator=(const listener_of_errors&) = delete;
  ~listener_of_errors() {
    heard = nullptr;
    set_unhandled_handler(before_);
  }

 private:
  unhandled_handler before_;
};

class kernel_test final : public ::testing::Test {
 public:
  kernel_test(const char* driver, task<> (*body)(), std::source_location place)
      : driver_(driver), body_(body), place_(place) {}
  void TestBody() override { run_on_kernel(driver_, body_, kernel_patience, place_); }

 private:
  const char* driver_;
  task<> (*body_)();
  std::source_location place_;
};

std::unique_ptr<driver> driver_or_none(const char* name) {
  try {
    return make_driver({.name = name});
  } catch (const exception& e) {
    if (!(e.reason() == errc::unsupported)) throw;
    return nullptr;
  }
}

}  // namespace

void run_on_kernel(const char* driver, task<> (*body)(), duration patience,
                   std::source_location place) {
  const std::set<std::string> before = open_streams();
  const bool had_children = has_children();
  std::vector<std::string> errors;
  {
    const listener_of_errors listens(&errors);
    const std::shared_ptr<weir::driver> io = driver_or_none(driver);
    if (!io) GTEST_SKIP() << "the kernel refuses " << driver;
    const driver_of_run kept(io);
    run_on(*io, with_timeout(patience, body()));
  }
  for (const std::string& one : errors) detail::fail_at(place, one);
  for (const std::string& one : open_streams()) {
    if (!before.contains(one)) detail::fail_at(place, "left open: " + one);
  }
  if (!had_children && has_children()) detail::fail_at(place, "left behind: a child process");
}

bool add_kernel_tests(const char* sentence, task<> (*body)(), std::source_location place) {
  for (const char* driver : kernel_drivers) {
    const std::string name = detail::name_of(std::string(sentence) + " on " + driver);
    detail::register_test("kernel/" + detail::suite_of(place.file_name()), name, place,
                          [=] { return new kernel_test(driver, body, place); });
  }
  return true;
}

bool add_test_on_both(const char* sentence, task<> (*body)(), std::source_location place) {
  add_test(sentence, body, place);
  return add_kernel_tests(sentence, body, place);
}

}  // namespace weir::testing
