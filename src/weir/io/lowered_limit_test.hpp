// For tests only: a process that may have less than it is used to.
#pragma once

#include <sys/resource.h>

namespace weir {

/// Lowers a limit of the process for as long as it lives.
class lowered_limit {
 public:
  lowered_limit(decltype(RLIMIT_NOFILE) which, rlim_t to) : which_(which) {
    ::getrlimit(which_, &before_);
    const rlimit now{to, before_.rlim_max};
    ::setrlimit(which_, &now);
  }
  lowered_limit(const lowered_limit&) = delete;
  lowered_limit& operator=(const lowered_limit&) = delete;
  ~lowered_limit() { ::setrlimit(which_, &before_); }

 private:
  decltype(RLIMIT_NOFILE) which_;
  rlimit before_{};
};

}  // namespace weir
