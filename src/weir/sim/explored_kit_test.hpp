// For tests only: explored programs that are made of one function.
#pragma once

#include <weir/sim/explore.hpp>

#include <string>

namespace weir::sim_test {

/// A program made of a function, whose verdict is what the function has written into `wrong`.
class program final : public explored_program {
 public:
  explicit program(task<> (*body)(std::string* wrong)) : body_(body) {}
  WEIR_CORO_WRAPPER task<> body() override {
    wrong_.clear();
    return body_(&wrong_);
  }
  std::string verdict() override { return wrong_; }

 private:
  task<> (*body_)(std::string*);
  std::string wrong_;
};

}  // namespace weir::sim_test
