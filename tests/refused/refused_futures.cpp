// Misuse of futures that must not compile. The compiler itself checks this file (clang's -verify):
// each refusal stands where the comment says so, and what has no comment is accepted.
#include <weir/core.hpp>
#include <weir/flow/promise.hpp>

#include <memory>
#include <utility>

namespace {

using owned = std::unique_ptr<int>;

// Whoever follows a shared_future copies its value; a future's moves.
void resolves_with_what_is_shared(weir::promise<owned>& with, weir::shared_future<owned> from) {
  with.resolve(std::move(from));
  // expected-error@*:* {{the value of a shared_future is copied here}}
}
void resolves_with_what_is_its_own(weir::promise<owned>& with, weir::future<owned> from) {
  with.resolve(std::move(from));
}
void resolves_with_what_is_shared_and_copied(weir::promise<std::shared_ptr<int>>& with,
                                             weir::shared_future<std::shared_ptr<int>> from) {
  with.resolve(std::move(from));
}

}  // namespace
