// Two tasks that receive from one socket, or send to it, at the same time would take turns in
// bytes: the process stops instead, in the virtual world as over the kernel's drivers.
#include <weir/io/socket.hpp>

#include <weir/core.hpp>
#include <weir/io/datagram_socket.hpp>
#include <weir/io/pipe_ends.hpp>
#include <weir/io/writer.hpp>
#include <weir/testing/test.hpp>

#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <tuple>

namespace weir::socket_misuse_test {
namespace {

struct misuse {
  const char* name;
  const char* said;
  task<> (*body)();
};
void PrintTo(const misuse& one, std::ostream* out) { *out << one.name; }

template <class Call>
task<> twice_at_once(Call call) {
  co_await with_scope([&](scope& s) -> task<> {
    for (int i = 0; i < 2; ++i) s.spawn([&]() -> task<> { std::ignore = co_await call(); });
    co_await s.join();
  });
}

struct connection {
  listener door;
  socket near;
  socket far;
};
task<connection> connect_here() {
  connection made;
  made.door = co_await listen({});
  made.near = co_await connect(made.door.local());
  made.far = co_await made.door.accept();
  co_return made;
}

constexpr const char* of_sockets = "a socket has one receive and one send at a time";

constexpr misuse all_misuses[] = {
    {"two_receives_of_a_socket", of_sockets,
     []() -> task<> {
       connection all = co_await connect_here();
       co_await twice_at_once([&] { return all.near.receive(); });
     }},
    {"two_sends_of_a_socket", of_sockets,
     []() -> task<> {
       connection all = co_await connect_here();
       const std::string more_than_fits(8 << 20, 'x');
       co_await twice_at_once([&]() -> task<unit> {
         co_await all.near.send(more_than_fits);
         co_return unit{};
       });
     }},
    {"two_receives_of_a_pipe", of_sockets,
     []() -> task<> {
       auto [from, to] = make_pipe();
       co_await twice_at_once([&] { return from.receive(); });
     }},
    {"two_receives_of_datagrams", of_sockets,
     []() -> task<> {
       auto at = bind_datagrams();
       co_await twice_at_once([&] { return at.receive(); });
     }},
    {"two_flushes_of_a_writer", "one write or flush of a writer at a time",
     []() -> task<> {
       connection all = co_await connect_here();
       const std::string more_than_fits(8 << 20, 'x');
       writer out(all.near);
       co_await twice_at_once([&]() -> task<unit> {
         co_await out.write(more_than_fits);
         co_return unit{};
       });
     }},
};

class SocketMisuseDeathTest : public ::testing::TestWithParam<misuse> {};
INSTANTIATE_TEST_SUITE_P(all, SocketMisuseDeathTest, ::testing::ValuesIn(all_misuses),
                         [](const auto& one) { return std::string(one.param.name); });

TEST_P(SocketMisuseDeathTest, stops_the_process_with_its_name) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(testing::run_virtual(GetParam().body()), GetParam().said);
}

}  // namespace
}  // namespace weir::socket_misuse_test
