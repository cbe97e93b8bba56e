// For tests only: two machines and programs for them.
#pragma once

#include <weir/core/task.hpp>
#include <weir/sim/virtual_nodes.hpp>

#include <gtest/gtest.h>

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace weir::contract {

struct program : node_program {
  virtual ~program() = default;
  WEIR_CORO_WRAPPER task<> main(virtual_node&) override { return body(); }
  virtual task<> body() = 0;
};
template <class F>
struct program_of final : program {
  explicit program_of(F what) : function(std::move(what)) {}
  WEIR_CORO_WRAPPER task<> body() override { return function(); }
  F function;
};

/// Two machines, "near" and "far", with a cable between them.
class two_machines : public ::testing::Test {
 protected:
  explicit two_machines(node_options of_near = {}) : near(all.add(named("near", of_near))) {}

  // Programs refer to what tests have: they end before that does.
  void TearDown() override {
    for (std::size_t i = 0; i < all.count(); ++i) all.at(i).kill();
  }

  static node_options named(const char* name, node_options options) {
    options.name = name;
    return options;
  }
  template <class F>
  program& add(F body) {
    programs.push_back(std::make_unique<program_of<F>>(std::move(body)));
    return *programs.back();
  }
  /// Its program is `body`, to which nothing unexpected happens.
  template <class F>
  void start(virtual_node& on, F body) {
    on.start(add(std::move(body)));
  }
  void expect_ended_well(const virtual_node& node) {
    EXPECT_TRUE(node.has_ended()) << node.name();
    EXPECT_FALSE(node.outcome().is_failed) << node.outcome().failure;
  }
  link_conditions& to_far() { return all.links().between(near.host(), far.host()); }
  link_conditions& to_near() { return all.links().between(far.host(), near.host()); }

  choices decisions{1};
  virtual_nodes all{decisions};
  virtual_node& near;
  virtual_node& far = all.add({.name = "far"});
  std::vector<std::unique_ptr<program>> programs;
};

}  // namespace weir::contract
