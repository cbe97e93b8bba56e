// Uses an installed weir: fails to build when a header or a library is missing from the install
// rules.
#include <weir/base/error.hpp>
#include <weir/base/result.hpp>
#include <weir/base/text.hpp>
#include <weir/base/time.hpp>

#include <cstdio>

namespace {
weir::result<int> halve(int number) {
  if (number % 2 != 0) return weir::fail(weir::errc::invalid_argument, "the number is odd");
  return number / 2;
}
}  // namespace

int main() {
  const auto seven = halve(7);
  if (seven || seven.error().code() != weir::errc::invalid_argument) return 1;
  if (halve(8).value() != 4) return 2;
  std::printf("consumer: %.*s\n", static_cast<int>(weir::name(seven.error().code()).size()),
              weir::name(seven.error().code()).data());
  return 0;
}
