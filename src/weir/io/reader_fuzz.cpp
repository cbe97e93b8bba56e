// Fuzzes the reader: a stream in pieces of any size, read by any operations, must give what a plain
// walk over the whole text gives, and must lose nothing in an error. The input begins with a number
// of operations, then these, then the sizes of pieces go on with the text itself.
#include <weir/io/reader.hpp>

#include <weir/base/assert.hpp>
#include <weir/core/as_result.hpp>
#include <weir/core/run.hpp>
#include <weir/sim/virtual_driver.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace weir {
namespace {

constexpr std::size_t limit = 16;

/// The text in pieces, whose sizes are its own bytes: a fuzzer finds cuts by changing text.
struct cut_source {
  std::string_view text;
  std::size_t at = 0;

  task<bytes> receive() {
    if (at == text.size()) co_return bytes();
    const std::size_t wish = 1 + static_cast<unsigned char>(text[at]) % 7;
    const std::string_view piece = text.substr(at, wish);
    at += piece.size();
    co_return bytes::copy_of(piece);
  }
};

/// What is left of the text after each operation, by definition.
struct model {
  std::string_view left;

  template <class R>
  void expect_error(const R& got, errc wanted) const {
    WEIR_ASSERT(!got && got.error().code() == wanted);
  }

  void line(const result<std::optional<bytes>>& got) {
    const std::size_t end = left.find('\n');
    const std::size_t total = end == std::string_view::npos ? left.size() : end + 1;
    std::string_view text = left.substr(0, std::min(end, left.size()));
    if (end != std::string_view::npos && text.ends_with('\r')) text.remove_suffix(1);
    if (text.size() > limit) return expect_error(got, errc::too_large);
    WEIR_ASSERT(got && got->has_value() == !left.empty());
    if (*got) WEIR_ASSERT((*got)->text() == text);
    left.remove_prefix(total);
  }
  void until(const result<bytes>& got, std::string_view delimiter) {
    const std::size_t end = left.find(delimiter);
    if (end == std::string_view::npos) {
      WEIR_ASSERT(!got && (got.error().code() == errc::end_of_stream ||
                           (got.error().code() == errc::too_large && left.size() > limit)));
      return;
    }
    if (end > limit) return expect_error(got, errc::too_large);
    WEIR_ASSERT(got && got->text() == left.substr(0, end));
    left.remove_prefix(end + delimiter.size());
  }
  void exactly(const result<bytes>& got, std::size_t count) {
    if (count > limit) return expect_error(got, errc::too_large);
    if (count > left.size()) return expect_error(got, errc::end_of_stream);
    WEIR_ASSERT(got && got->text() == left.substr(0, count));
    left.remove_prefix(count);
  }
  void into(const result<>& got, std::string_view memory, std::size_t count) {
    WEIR_ASSERT(got.has_value() == (count == memory.size()));
    WEIR_ASSERT(count == std::min(memory.size(), left.size()));
    WEIR_ASSERT(memory.substr(0, count) == left.substr(0, count));
    left.remove_prefix(count);
  }
  void some(const result<bytes>& got) {
    WEIR_ASSERT(got && got->empty() == left.empty() && left.starts_with(got->text()));
    left.remove_prefix(got->size());
  }
};

task<> read_by(std::string_view operations, std::string_view text) {
  cut_source from{text};
  reader in(from, {.item_bytes_max = limit});
  model expected{text};
  for (const char one : operations) {
    const auto argument = static_cast<std::size_t>(static_cast<unsigned char>(one) / 5);
    switch (static_cast<unsigned char>(one) % 5) {
      case 0:
        expected.line(co_await as_result(in.read_line()));
        break;
      case 1: {
        const std::string_view delimiter = argument % 2 == 0 ? "\r\n" : "aab";
        expected.until(co_await as_result(in.read_until(delimiter)), delimiter);
        break;
      }
      case 2:
        expected.exactly(co_await as_result(in.read_exactly(argument)), argument);
        break;
      case 3: {
        std::string memory(argument, '\0');
        std::size_t got = 0;
        const auto outcome = co_await as_result(in.read_exactly(std::span<char>(memory), &got));
        expected.into(outcome, memory, got);
        break;
      }
      default:
        expected.some(co_await as_result(in.read_some()));
        break;
    }
  }
  WEIR_ASSERT(co_await in.read_all(text.size()) == expected.left);
}

}  // namespace
}  // namespace weir

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string input(reinterpret_cast<const char*>(data), size);
  const std::size_t operations = std::min<std::size_t>(data[0] % 32, size - 1);
  const std::string_view all = input;
  weir::virtual_driver driver;
  weir::run_on(driver, weir::read_by(all.substr(1, operations), all.substr(1 + operations)));
  return 0;
}
