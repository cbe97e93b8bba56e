#include <weir/wire/sse.hpp>

#include <weir/base/error.hpp>

#include <gtest/gtest.h>

#include <string>

namespace weir::sse_test {
namespace {

using namespace std::string_view_literals;

std::string written(sse_event event) {
  std::string out;
  append_event(out, event);
  return out;
}

TEST(sse, an_event_is_its_fields_and_an_empty_line) {
  EXPECT_EQ(written({.event = "done", .id = "42", .data = "{\"a\":1}"}),
            "event: done\nid: 42\ndata: {\"a\":1}\n\n");
  EXPECT_EQ(written({.data = "x"}), "data: x\n\n");
}

TEST(sse, data_of_several_lines_arrives_as_several_lines) {
  EXPECT_EQ(written({.data = "a\nb\r\nc\rd"}), "data: a\ndata: b\ndata: c\ndata: d\n\n");
  EXPECT_EQ(written({.data = "a\n"}), "data: a\ndata: \n\n");
  EXPECT_EQ(written({.data = "\n\n"}), "data: \ndata: \ndata: \n\n");
}

TEST(sse, an_event_without_data_is_still_dispatched) {
  EXPECT_EQ(written({.event = "tick"}), "event: tick\ndata: \n\n");
}

TEST(sse, data_that_looks_like_a_field_stays_data) {
  EXPECT_EQ(written({.data = " lead\n\nevent: forged"}),
            "data:  lead\ndata: \ndata: event: forged\n\n");
}

TEST(sse, names_that_would_break_the_stream_are_refused_and_leave_nothing) {
  for (std::string_view bad : {"a\nb"sv, "a\rb"sv, "a\0b"sv, "\xff"sv}) {
    std::string out = "kept";
    EXPECT_THROW(append_event(out, {.event = bad, .data = "x"}), exception);
    EXPECT_THROW(append_event(out, {.id = bad, .data = "x"}), exception);
    EXPECT_EQ(out, "kept");
  }
  std::string out;
  EXPECT_THROW(append_event(out, {.data = "\xff"}), exception);
}

TEST(sse, retry_and_keep_alive_are_events_of_their_own) {
  std::string out;
  append_retry(out, 3000);
  EXPECT_EQ(out, "retry: 3000\n\n");
  EXPECT_TRUE(sse_keep_alive.starts_with(':') && sse_keep_alive.ends_with("\n\n"));
}

}  // namespace
}  // namespace weir::sse_test
