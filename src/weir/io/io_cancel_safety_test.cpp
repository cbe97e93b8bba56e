// What the types of this floor's waits say of a cancellation. That it is so, the tests of each
// show: docs/reference/waits.md.
#include <weir/core.hpp>
#include <weir/core/cancel_safety.hpp>
#include <weir/io/blocking.hpp>
#include <weir/io/datagram_socket.hpp>
#include <weir/io/file.hpp>
#include <weir/io/pipe_ends.hpp>
#include <weir/io/reader.hpp>
#include <weir/io/readiness.hpp>
#include <weir/io/signals.hpp>
#include <weir/io/socket.hpp>
#include <weir/io/writer.hpp>

#include <gtest/gtest.h>

#include <span>
#include <string_view>
#include <utility>

namespace weir::io_cancel_safety_test {
namespace {

using enum cancel_safety;
constexpr std::string_view text = "text";

template <class Object, class Call>
constexpr cancel_safety of(Call /*call*/) {
  return cancel_safety_of<decltype(std::declval<Call>()(std::declval<Object&>()))>;
}

TEST(CancelSafety, of_one_request_to_the_kernel_is_that_it_has_happened_or_not) {
  EXPECT_EQ(of<socket>([](auto& x) { return x.receive(); }), nothing_happened);
  EXPECT_EQ(of<socket>([](auto& x) { return x.shutdown_send(); }), nothing_happened);
  EXPECT_EQ(of<listener>([](auto& x) { return x.accept(); }), nothing_happened);
  EXPECT_EQ(of<pipe_reader>([](auto& x) { return x.receive(); }), nothing_happened);
  EXPECT_EQ(of<datagram_socket>([](auto& x) { return x.receive(); }), nothing_happened);
  EXPECT_EQ(of<datagram_socket>([](auto& x) { return x.send(text); }), nothing_happened);
  EXPECT_EQ(of<file>([](auto& x) { return x.sync(); }), nothing_happened);
  EXPECT_EQ(cancel_safety_of<decltype(open_file("a"))>, nothing_happened);
  EXPECT_EQ(cancel_safety_of<decltype(rename_path("a", "b"))>, nothing_happened);
  EXPECT_EQ(cancel_safety_of<decltype(wait_readable(0))>, nothing_happened);
  EXPECT_EQ(cancel_safety_of<decltype(wait_signal(1))>, nothing_happened);
}

TEST(CancelSafety, of_what_may_take_several_requests_is_that_a_part_has_happened) {
  EXPECT_EQ(of<socket>([](auto& x) { return x.send(text); }), partial);
  EXPECT_EQ(of<pipe_writer>([](auto& x) { return x.send(text); }), partial);
  EXPECT_EQ(of<file>([](auto& x) { return x.write_at(0, text); }), partial);
  EXPECT_EQ(of<datagram_socket>([](auto& x) { return x.send_batch(std::span<datagram>()); }),
            partial);
}

TEST(CancelSafety, of_readers_and_writers_is_known_where_they_begin_without_a_task) {
  EXPECT_EQ(of<reader>([](auto& x) { return x.read_line(); }), nothing_happened);
  EXPECT_EQ(of<reader>([](auto& x) { return x.read_exactly(4); }), nothing_happened);
  EXPECT_EQ(of<reader>([](auto& x) { return x.read_exactly(std::span<char>()); }), partial);
  EXPECT_EQ(of<writer>([](auto& x) { return x.write(text); }), partial);
}

TEST(CancelSafety, of_tasks_is_that_of_their_waits) {
  EXPECT_EQ(cancel_safety_of<decltype(blocking([] {}))>, as_its_waits);
  EXPECT_EQ(cancel_safety_of<detail::blocking_wait>, point_of_no_return) << "what it waits for";
  EXPECT_EQ(cancel_safety_of<decltype(std::declval<reader&>().read_all(1))>, as_its_waits);
}

}  // namespace
}  // namespace weir::io_cancel_safety_test
