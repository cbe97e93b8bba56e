#include <weir/wire/base64.hpp>

#include <weir/base/random.hpp>

#include <gtest/gtest.h>

namespace weir::base64_test {
namespace {

using namespace std::string_view_literals;

TEST(base64, the_vectors_of_rfc_4648_encode_and_decode) {
  const std::pair<std::string_view, std::string_view> vectors[] = {{"", ""},
                                                                   {"f", "Zg=="},
                                                                   {"fo", "Zm8="},
                                                                   {"foo", "Zm9v"},
                                                                   {"foob", "Zm9vYg=="},
                                                                   {"fooba", "Zm9vYmE="},
                                                                   {"foobar", "Zm9vYmFy"}};
  for (const auto& [data, text] : vectors) {
    EXPECT_EQ(encode_base64(data), text);
    EXPECT_EQ(decode_base64(text, 100).value(), data);
  }
}

TEST(base64, any_bytes_come_back) {
  random_source random(5);
  for (std::size_t size = 0; size < 300; ++size) {
    std::string data(size, '\0');
    random.fill(data.data(), size);
    ASSERT_EQ(decode_base64(encode_base64(data), size).value(), data);
  }
}

TEST(base64, what_is_not_exactly_base64_is_refused) {
  for (std::string_view text : {"Zg"sv, "Zg="sv, "Zg==="sv, "Z==="sv, "===="sv, "Zg==Zg=="sv,
                                "Z=g="sv, "Zm9v\n"sv, "Zm 9"sv, "Zm9-"sv, "Zm9_"sv, "Zm9\0"sv,
                                "Zm9\xff"sv, "Zh=="sv /* bits behind the end */, "Zm9="sv}) {
    const auto decoded = decode_base64(text, 100);
    ASSERT_FALSE(decoded.has_value()) << text;
    EXPECT_EQ(decoded.error(), errc::malformed) << text;
  }
}

TEST(base64, the_bound_is_on_the_decoded_bytes) {
  EXPECT_EQ(decode_base64("Zm9v", 3).value(), "foo");
  EXPECT_EQ(decode_base64("Zm8=", 2).value(), "fo");
  EXPECT_EQ(decode_base64("Zm9v", 2).error(), errc::too_large);
}

}  // namespace
}  // namespace weir::base64_test
