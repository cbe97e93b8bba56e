// The requests that HTTP parsers are measured with, and how often: one as small as a benchmark's
// client sends it, one as a browser sends it.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ratio>
#include <string_view>

namespace bench {

inline constexpr std::string_view hello_request =
    "GET /plaintext HTTP/1.1\r\n"
    "Host: localhost:8420\r\n"
    "\r\n";

inline constexpr std::string_view browser_request =
    "GET /wiki/Weir?action=view&section=2 HTTP/1.1\r\n"
    "Host: en.wikipedia.example\r\n"
    "Connection: keep-alive\r\n"
    "Cache-Control: max-age=0\r\n"
    "sec-ch-ua: \"Chromium\";v=\"128\", \"Not;A=Brand\";v=\"24\", \"Google Chrome\";v=\"128\"\r\n"
    "sec-ch-ua-mobile: ?0\r\n"
    "sec-ch-ua-platform: \"Linux\"\r\n"
    "Upgrade-Insecure-Requests: 1\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/128.0.0.0 Safari/537.36\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,"
    "image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7\r\n"
    "Sec-Fetch-Site: none\r\n"
    "Sec-Fetch-Mode: navigate\r\n"
    "Sec-Fetch-User: ?1\r\n"
    "Sec-Fetch-Dest: document\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\n"
    "Accept-Language: en-GB,en-US;q=0.9,en;q=0.8,de;q=0.7\r\n"
    "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; consent=2024-05-01T10:00:00Z\r\n"
    "If-None-Match: W/\"0815-4711\"\r\n"
    "\r\n";

/// Times `parse(request)`, which returns the bytes of all names and values, and prints the rows.
/// The sum over all rounds is the checksum: a parser that reads less is no peer.
template <class Parse>
void measure(const char* name, std::string_view request, std::int64_t rounds, Parse parse) {
  std::uint64_t sum = 0;
  for (std::int64_t i = 0; i < rounds / 10 + 1; ++i) sum += parse(request);  // warm
  sum = 0;
  const auto start = std::chrono::steady_clock::now();
  for (std::int64_t i = 0; i < rounds; ++i) sum += parse(request);
  const std::chrono::duration<double, std::nano> taken = std::chrono::steady_clock::now() - start;
  std::printf("%s/rounds=%lld %.1f ns %llu\n", name, static_cast<long long>(rounds),
              taken.count() / static_cast<double>(rounds), static_cast<unsigned long long>(sum));
}

template <class Parse>
int run(int count, char** arguments, Parse parse) {
  const bool is_small = count > 1 && std::strcmp(arguments[1], "--small") == 0;
  measure("parse_hello", hello_request, is_small ? 1'000 : 5'000'000, parse);
  measure("parse_browser", browser_request, is_small ? 1'000 : 1'000'000, parse);
  return 0;
}

}  // namespace bench
