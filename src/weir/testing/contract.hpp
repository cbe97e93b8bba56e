// Contracts: rules that every implementation of a thing keeps, each a test of its own that is run
// over yours. The hard idea: a rule is a template over a kit, a struct of yours that says how to
// make the thing, so that the rules are written once and need no base class.
//
//   contracts/byte_stream_contract.hpp   WEIR_BYTE_STREAM_CONTRACT(kit)
//   contracts/channel_contract.hpp       WEIR_CHANNEL_CONTRACT(kit)
//   contracts/driver_contract.hpp        WEIR_DRIVER_CONTRACT(kit)
//   contracts/lock_contract.hpp          WEIR_LOCK_CONTRACT(kit)
//   contracts/shared_lock_contract.hpp   WEIR_SHARED_LOCK_CONTRACT(kit)
//   contracts/semaphore_contract.hpp     WEIR_SEMAPHORE_CONTRACT(kit)
#pragma once

#include <weir/testing/cancel_points.hpp>
#include <weir/testing/test.hpp>

#include <cstdint>
#include <source_location>
#include <span>

namespace weir::testing {

struct driver_kit;

/// One rule, for one kit: a body that runs as a WEIR_TEST does, a scenario that
/// cancel_at_every_point() runs, or what is asked of a driver, outside of any world.
struct contract_rule {
  const char* sentence;
  task<> (*body)() = nullptr;
  task<> (*sweep)(victim&) = nullptr;
  void (*of_driver)(const driver_kit&) = nullptr;
  const driver_kit* drivers = nullptr;
};

/// In which worlds the bodies run: see two_arms.hpp. Scenarios of cancellation need the virtual
/// one; what is asked of drivers runs once, and is kept in the arm's suite.
enum class contract_arms : std::uint8_t { virtual_world, kernel, both };

/// Registers a test for each rule, as "KIT: the rule".
bool add_contract(const char* kit, std::span<const contract_rule> rules,
                  contract_arms arms = contract_arms::virtual_world,
                  std::source_location place = std::source_location::current());
/// Runs one rule, within a test: a body in the virtual world.
void check_rule(const contract_rule& rule,
                std::source_location place = std::source_location::current());

}  // namespace weir::testing
