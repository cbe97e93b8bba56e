// A kernel as the explorer takes it.
#pragma once

#include <weir/sim/explore.hpp>

#include "corpus.hpp"

namespace weir::corpora {

class explored_kernel final : public explored_program {
 public:
  explicit explored_kernel(const kernel& of) : of_(of) {}
  WEIR_CORO_WRAPPER task<> body() override { return of_.body(); }

 private:
  const kernel& of_;
};

}  // namespace weir::corpora
