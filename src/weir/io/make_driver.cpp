#include <weir/io/make_driver.hpp>

#include <weir/base/error.hpp>
#include <weir/base/log.hpp>
#include <weir/base/text.hpp>
#include <weir/io/epoll_driver.hpp>
#include <weir/io/uring_driver.hpp>

#include <fmt/format.h>

#include <atomic>
#include <cstdlib>
#include <string_view>

namespace weir {

namespace {

// Said once per process, not once per core.
void say_fallback(const error& why) noexcept {
  static constinit std::atomic<bool> is_said{false};
  if (is_said.exchange(true)) return;
  log::info("io_uring is not available, using epoll", {{"reason", describe(why)}});
}

// So is the choice, for those who want to know: WEIR_LOG=debug.
std::unique_ptr<driver> said(std::unique_ptr<driver> chosen) noexcept {
  static constinit std::atomic<bool> is_said{false};
  if (log::is_on(log::level::debug) && !is_said.exchange(true))
    log::debug("driver chosen", {{"driver", chosen->name()}});
  return chosen;
}

}  // namespace

std::unique_ptr<driver> make_driver(driver_options options) {
  const char* asked = options.name ? options.name : std::getenv("WEIR_DRIVER");
  const std::string_view name = asked ? asked : "";
  if (name == "epoll") return said(detail::make_epoll_driver(options));
  if (name == "io_uring") return said(detail::make_uring_driver(options));
  if (!name.empty()) {
    raise(error(errc::invalid_argument,
                fmt::format("there is no driver '{}'{}; io_uring and epoll are known", name,
                            options.name ? "" : " (from WEIR_DRIVER)")));
  }
  try {
    return said(detail::make_uring_driver(options));
  } catch (const exception& e) {
    say_fallback(e.reason());
    return said(detail::make_epoll_driver(options));
  }
}

}  // namespace weir
