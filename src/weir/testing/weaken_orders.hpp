// Which memory orders of a piece of code no test needs. The hard idea: an order that can be made
// weaker without any failure is either stronger than it has to be or not tested, and whoever reads
// the list must say which; so a test asserts the list itself.
#pragma once

#include <weir/testing/model_checker.hpp>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weir::model {

struct weaken_options {
  check_options check = {};
  std::uint64_t least = 1;  // so many orders must have been found by a failure
};

/// Makes each order in `file` (by its bare name) weaker by one step, one after the other, and runs
/// all bodies. Gives those that none of them notices, such as "take_shown: store release as
/// relaxed, number 2 of 2". Fails the running test when a body fails with the orders as they are,
/// or fewer than `least` were noticed.
std::vector<std::string> unnoticed_orders(std::string_view file, std::span<void (*const)()> bodies,
                                          const weaken_options& options = {});

}  // namespace weir::model
