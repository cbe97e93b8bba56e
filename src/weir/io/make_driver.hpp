// The choice of a driver at start: io_uring where the kernel lets us, else epoll.
#pragma once

#include <weir/core/driver.hpp>
#include <weir/io/driver_options.hpp>

#include <memory>

namespace weir {

/// A driver over the kernel, for one loop, made on that loop's thread. Raises `invalid_argument`
/// for an unknown name, `unsupported` when io_uring was asked for by name and the kernel refuses
/// it.
[[nodiscard]] std::unique_ptr<driver> make_driver(driver_options options = {});

}  // namespace weir
