// What every driver of weir does, for drivers of your own: another system's calls, a loop that you
// have already, a world of a simulator. A kit says how to make one.
//
//   struct my_drivers {
//     static std::unique_ptr<weir::driver> make();  // null: this machine has none; it is skipped
//     static std::string folder();  // ends with a slash; left out by drivers without files
//   };
//   WEIR_DRIVER_CONTRACT(my_drivers);  // at namespace scope of a test's file
//
// The rules ask the driver itself, as a loop would on its thread: no task is there, and a driver
// that loses a request shows as one that does not answer within driver_patience of its own clock.
// Datagrams and pipes are checked where they are. What tasks see of sockets is
// byte_stream_contract.hpp's.
#pragma once

#include <weir/core/driver.hpp>
#include <weir/testing/contract.hpp>

#include <memory>
#include <span>
#include <string>
#include <vector>

namespace weir::testing {

inline constexpr duration driver_patience = duration::seconds(30);  // for one answer

/// A kit, as the rules see it.
struct driver_kit {
  std::unique_ptr<driver> (*make)() = nullptr;
  std::string (*folder)() = nullptr;  // null: no files
};

/// The rules, for one kit, which must live as long.
std::vector<contract_rule> driver_rules(const driver_kit& kit);

/// The same, for a kit that is a type.
template <class Kit>
struct driver_contract {
  static std::span<const contract_rule> rules() {
    static constexpr driver_kit kit = [] {
      driver_kit made{.make = &Kit::make};
      if constexpr (requires { Kit::folder(); }) made.folder = &Kit::folder;
      return made;
    }();
    static const std::vector<contract_rule> all = driver_rules(kit);
    return all;
  }
};

}  // namespace weir::testing

/// Registers a test for each rule of drivers over the kit. On `kernel`: in the suite kernel/FILE.
#define WEIR_DRIVER_CONTRACT_ON(arm, ...)                                                   \
  [[maybe_unused]] static const bool WEIR_TEST_JOIN(weir_driver_contract_, __COUNTER__) =   \
      ::weir::testing::add_contract(#__VA_ARGS__,                                           \
                                    ::weir::testing::driver_contract<__VA_ARGS__>::rules(), \
                                    ::weir::testing::contract_arms::arm)
#define WEIR_DRIVER_CONTRACT(...) WEIR_DRIVER_CONTRACT_ON(virtual_world, __VA_ARGS__)
