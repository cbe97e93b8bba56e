// What every stream of bytes of weir does, for streams of your own: a kit says how to open one.
//
//   struct my_pipes {
//     static weir::task<...> open();  // two ends: a byte_sink, and the byte_source of what is sent
//     static constexpr std::size_t holds_max = 65'536;  // bytes on their way at most
//   };
//   WEIR_BYTE_STREAM_CONTRACT(my_pipes);           // in the virtual world
//   WEIR_BYTE_STREAM_CONTRACT_ON(both, my_pipes);  // and on the kernel's drivers
//
// The sink has shutdown_send() or close(), the source cancel(error) or close(). Where both ends are
// sink and source, as a socket is, the rules for two directions are checked, too.
#pragma once

#include <weir/core/as_result.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/io/byte_stream.hpp>
#include <weir/testing/contract.hpp>
#include <weir/testing/detail/stream_steps.hpp>

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weir::testing {

/// The rules, for one kit.
template <class Kit>
struct byte_stream_contract {
  static std::span<const contract_rule> rules() {
    static constexpr std::array<contract_rule, 13> all{{
        {.sentence = "bytes arrive whole and in order, and the end is empty and stays the end",
         .body = &order},
        {.sentence = "pieces that are sent as one arrive as one text", .body = &pieces},
        {.sentence = "more than the stream holds arrives whole, and all of it counts as sent",
         .body = &large},
        {.sentence = "a send that nobody receives waits, and cancelled has sent what it says",
         .body = &bound},
        {.sentence = "a receive waits for bytes, and one that times out loses none",
         .body = &late_bytes},
        {.sentence = "receives that are cut off while bytes arrive lose none", .body = &cut_off},
        {.sentence = "the end is seen by a receive that waits", .body = &end_is_seen},
        {.sentence = "what was received stays as it was when more is", .body = &views},
        {.sentence = "a send to a source that is gone fails", .body = &source_gone},
        {.sentence = "a send cancelled at any point has sent what it says",
         .sweep = &cancelled_send},
        {.sentence = "a receive cancelled at any point has taken nothing",
         .sweep = &cancelled_receive},
        {.sentence = "after an end the other direction goes on", .body = &half_close},
        {.sentence = "both directions at once arrive whole", .body = &both_ways},
    }};
    return std::span(all).first(is_duplex ? all.size() : all.size() - 2);
  }

 private:
  using opened = typename decltype(Kit::open())::value_type;

  // The ends by place, whatever the kit calls them.
  template <class Of>
  static auto& sink_of(Of& of) {
    auto& [sink, source] = of;
    return sink;
  }
  template <class Of>
  static auto& source_of(Of& of) {
    auto& [sink, source] = of;
    return source;
  }
  using sink = std::remove_reference_t<decltype(sink_of(std::declval<opened&>()))>;
  using source = std::remove_reference_t<decltype(source_of(std::declval<opened&>()))>;
  static_assert(byte_sink<sink>, "the first end has detail::send(pieces, &sent)");
  static_assert(byte_source<source>, "the second end has receive(), which gives bytes");
  static constexpr bool is_duplex = byte_source<sink> && byte_sink<source>;

  static task<> order() {
    auto ends = co_await Kit::open();
    std::string got;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(detail::receive_all<source>, &source_of(ends), &got);
      co_await detail::send(&sink_of(ends), "hello ");
      co_await detail::send(&sink_of(ends), "world");
      co_await detail::end(&sink_of(ends));
    });
    EXPECT_EQ(got, "hello world");
    EXPECT_TRUE((co_await source_of(ends).receive()).empty()) << "the end stays the end";
  }

  static task<> pieces() {
    auto ends = co_await Kit::open();
    std::string got;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(detail::receive_all<source>, &source_of(ends), &got);
      const std::array<io_slice, 5> parts{{{"", 0}, {"ab", 2}, {"", 0}, {"cde", 3}, {"f", 1}}};
      std::size_t sent = 0;
      co_await sink_of(ends).send(std::span<const io_slice>(parts), &sent);
      EXPECT_EQ(sent, 6u);
      co_await detail::send(&sink_of(ends), "", &sent);
      EXPECT_EQ(sent, 0u) << "nothing is sent of nothing";
      co_await detail::end(&sink_of(ends));
    });
    EXPECT_EQ(got, "abcdef");
  }

  static task<> large() {
    auto ends = co_await Kit::open();
    const std::string text = detail::pattern(Kit::holds_max + Kit::holds_max / 2);
    std::string got;
    std::size_t sent = 0;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(detail::receive_all<source>, &source_of(ends), &got);
      co_await detail::send_and_end(&sink_of(ends), text, &sent);
    });
    EXPECT_EQ(sent, text.size());
    EXPECT_EQ(got.size(), text.size());
    EXPECT_TRUE(got == text) << "other bytes, or in another order";
  }

  static task<> bound() {
    auto ends = co_await Kit::open();
    const std::string text = detail::pattern(Kit::holds_max + Kit::holds_max / 8 + 1);
    std::size_t sent = 0;
    co_await expect_raises<errc::timed_out>(
        with_timeout(duration::milliseconds(20), detail::send(&sink_of(ends), text, &sent)));
    EXPECT_LE(sent, Kit::holds_max) << "the stream holds more than its bound";
    std::string got;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(detail::receive_all<source>, &source_of(ends), &got);
      co_await detail::end(&sink_of(ends));
    });
    EXPECT_EQ(got.size(), sent) << "`sent` is not what arrives";
    EXPECT_TRUE(got == text.substr(0, got.size())) << "what arrives is not the beginning";
  }

  static task<> late_bytes() {
    auto ends = co_await Kit::open();
    co_await expect_raises<errc::timed_out>(
        with_timeout(duration::milliseconds(2), source_of(ends).receive()));
    co_await detail::send(&sink_of(ends), "late");
    EXPECT_EQ(co_await detail::receive_count(&source_of(ends), 4), "late");
  }

  static task<> cut_off() {
    auto ends = co_await Kit::open();
    const std::string text = detail::pattern(40);
    std::string got;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(detail::send_slowly<sink>, &sink_of(ends), std::string_view(text));
      for (bool is_over = false; !is_over;) {
        auto outcome = co_await as_result(
            with_timeout(duration::microseconds(100), source_of(ends).receive()));
        co_await checkpoint();
        if (outcome) {
          got += outcome->text();
          is_over = outcome->empty();
        } else if (!(outcome.error() == errc::timed_out)) {
          ADD_FAILURE() << "a receive raised " << name(outcome.error().code());
          is_over = true;
        }
      }
    });
    EXPECT_TRUE(got == text) << got.size() << " of " << text.size() << " bytes arrived";
  }

  static task<> end_is_seen() {
    auto ends = co_await Kit::open();
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([](source* from) -> task<> { EXPECT_TRUE((co_await from->receive()).empty()); },
              &source_of(ends));
      co_await sleep(duration::milliseconds(1));
      co_await detail::end(&sink_of(ends));
    });
  }

  static task<> views() {
    auto ends = co_await Kit::open();
    std::vector<bytes> kept;
    std::string got;
    const std::string text = detail::pattern(500);
    for (std::size_t i = 0; i < text.size(); i += 50) {
      co_await detail::send(&sink_of(ends), std::string_view(text).substr(i, 50));
      for (std::size_t came = 0; came < 50; came += kept.back().size()) {
        kept.push_back(co_await source_of(ends).receive());
        WEIR_REQUIRE(!kept.back().empty());
      }
    }
    for (const bytes& one : kept) got += one.text();
    EXPECT_TRUE(got == text) << "what was received has changed since";
  }

  static task<> source_gone() {
    auto ends = co_await Kit::open();
    co_await weir::detail::source_ref(source_of(ends))
        .cancel(error(errc::cancelled, "the source goes"));
    const std::string text(1'024, 'x');
    errc failed{};
    for (std::size_t all = 0; failed == errc{} && all <= 2 * Kit::holds_max; all += text.size()) {
      const auto outcome = co_await as_result(
          with_timeout(duration::seconds(5), detail::send(&sink_of(ends), text)));
      co_await checkpoint();
      if (!outcome) failed = outcome.error().code();
      co_await sleep(duration::microseconds(10));  // the news is on its way
    }
    EXPECT_TRUE(failed == errc::broken || failed == errc::closed)
        << "expected broken or closed, came " << (failed == errc{} ? "success" : name(failed));
  }

  static task<> cancelled_send(victim& v) {
    auto ends = co_await Kit::open();
    const std::string text = detail::pattern(Kit::holds_max + 1);
    std::size_t sent = 0;
    std::string got;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(detail::receive_all<source>, &source_of(ends), &got);
      co_await v.run([](sink* to, std::string_view all, std::size_t* count) -> task<> {
        co_await yield();  // a point at least, where no send has one
        co_await detail::send(to, all, count);
      }(&sink_of(ends), text, &sent));
      co_await detail::end(&sink_of(ends));
    });
    EXPECT_EQ(got.size(), sent) << "`sent` is not what arrives";
    EXPECT_TRUE(got == text.substr(0, got.size())) << "what arrives is not the beginning";
  }

  static task<> cancelled_receive(victim& v) {
    auto ends = co_await Kit::open();
    std::string got;
    co_await detail::send(&sink_of(ends), "lay there,");
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(detail::send_slowly<sink>, &sink_of(ends), std::string_view("came"));
      co_await v.run(detail::receive_all(&source_of(ends), &got));
      co_await detail::receive_all(&source_of(ends), &got);
    });
    EXPECT_EQ(got, "lay there,came") << "a cancelled receive has taken nothing";
  }

  static task<> half_close() {
    if constexpr (is_duplex) {
      auto ends = co_await Kit::open();
      std::string question;
      std::string answer;
      co_await with_scope([&](scope& s) -> task<> {
        s.spawn(detail::receive_all<sink>, &sink_of(ends), &answer);
        co_await detail::send_and_end(&sink_of(ends), "question");
        co_await detail::receive_all(&source_of(ends), &question);
        co_await detail::send_and_end(&source_of(ends), "answer");
      });
      EXPECT_EQ(question, "question");
      EXPECT_EQ(answer, "answer");
    }
    co_return;
  }

  static task<> both_ways() {
    if constexpr (is_duplex) {
      auto ends = co_await Kit::open();
      const std::string text = detail::pattern(Kit::holds_max + Kit::holds_max / 2);
      std::string there;
      std::string here;
      co_await with_scope([&](scope& s) -> task<> {
        s.spawn(detail::receive_all<source>, &source_of(ends), &there);
        s.spawn(detail::receive_all<sink>, &sink_of(ends), &here);
        s.spawn(detail::send_and_end<source>, &source_of(ends), std::string_view(text), nullptr);
        co_await detail::send_and_end(&sink_of(ends), text);
      });
      EXPECT_TRUE(there == text) << there.size() << " of " << text.size() << " bytes";
      EXPECT_TRUE(here == text) << here.size() << " of " << text.size() << " bytes";
    }
    co_return;
  }
};

}  // namespace weir::testing

/// Registers a test for each rule of byte streams over the kit: on `virtual_world`, `kernel`, or
/// `both`.
#define WEIR_BYTE_STREAM_CONTRACT_ON(arms, ...)                                                  \
  [[maybe_unused]] static const bool WEIR_TEST_JOIN(weir_byte_stream_contract_, __COUNTER__) =   \
      ::weir::testing::add_contract(#__VA_ARGS__,                                                \
                                    ::weir::testing::byte_stream_contract<__VA_ARGS__>::rules(), \
                                    ::weir::testing::contract_arms::arms)
#define WEIR_BYTE_STREAM_CONTRACT(...) WEIR_BYTE_STREAM_CONTRACT_ON(virtual_world, __VA_ARGS__)
