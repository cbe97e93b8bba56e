#include <weir/io/make_driver.hpp>

#include <weir/io/epoll_driver.hpp>

namespace weir {

std::unique_ptr<driver> make_driver(driver_options options) {
  return detail::make_epoll_driver(options);
}

}  // namespace weir
