// For tests of the kit itself: what checks say when they fail, without failing the test.
#pragma once

#include <weir/testing/contract.hpp>

#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include <span>
#include <string>
#include <vector>

namespace weir::testing {

/// While it exists, failed expectations of this thread go to it.
class caught_failures {
 public:
  caught_failures()
      : catcher_(::testing::ScopedFakeTestPartResultReporter::INTERCEPT_ONLY_CURRENT_THREAD,
                 &results_) {}
  caught_failures(const caught_failures&) = delete;
  caught_failures& operator=(const caught_failures&) = delete;
  ~caught_failures() = default;

  std::string text() const {
    std::string all;
    for (int i = 0; i < results_.size(); ++i) all += results_.GetTestPartResult(i).message();
    return all;
  }
  int count() const { return results_.size(); }

 private:
  ::testing::TestPartResultArray results_;
  ::testing::ScopedFakeTestPartResultReporter catcher_;
};

/// The rules that an implementation breaks.
inline std::vector<std::string> broken_rules(std::span<const contract_rule> rules) {
  std::vector<std::string> broken;
  for (const contract_rule& rule : rules) {
    const caught_failures caught;
    check_rule(rule);
    if (caught.count() != 0) broken.emplace_back(rule.sentence);
  }
  return broken;
}

}  // namespace weir::testing
