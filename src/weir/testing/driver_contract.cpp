// The rules of drivers, one function each.
#include <weir/testing/contracts/driver_contract.hpp>

#include <weir/testing/internal/driver_desk.hpp>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <string>
#include <thread>
#include <vector>

namespace weir::testing {

namespace {

using desk = driver_desk;

std::string in_space(const asked& one) {
  const auto count = std::clamp<std::int64_t>(one.outcome, 0, 64);
  return {one.space.data(), static_cast<std::size_t>(count)};
}

// Clocks and wake-ups.

void clock(desk& on) {
  time_point last = on.io().now();
  for (int i = 0; i < 1'000; ++i) {
    const time_point next = on.io().now();
    EXPECT_GE(next.ns, last.ns);
    last = next;
  }
}

void wall_clock(desk& on) {
  const time_point before = on.io().wall_now();
  EXPECT_GT(before.ns, 0) << "it is some time after 1970";
  on.wait(on.io().now() + duration::milliseconds(2));
  EXPECT_GT(on.io().wall_now().ns, before.ns) << "it stands still";
}

void time_of_wait(desk& on) {
  on.look();  // what a driver finds at its start
  for (const int ms : {0, 1, 3}) {
    const time_point until = on.io().now() + duration::milliseconds(ms);
    on.wait(until);
    EXPECT_GE(on.io().now().ns, until.ns) << "nothing happened, and the wait ended before its time";
  }
  on.wait(on.io().now() - duration::seconds(1));
}

void wake_ups(desk& on) {
  if (!on.io().can_be_woken()) return;
  const time_point until = on.io().now() + driver_patience;
  on.io().wake();
  on.wait(until);
  const bool is_woken = on.io().now() < until;
  EXPECT_TRUE(is_woken) << "a wake-up that comes before the wait is lost";
  if (!is_woken) return;  // the next would be waited for without end
  std::atomic<int> heard = 0;
  constexpr int rounds = 20;
  std::thread other([&] {
    for (int i = 0; i < rounds; ++i) {
      on.io().wake();
      heard.wait(i);
    }
  });
  for (int i = 0; i < rounds; ++i) {
    on.wait(time_point::never());
    heard.store(i + 1);
    heard.notify_one();
  }
  other.join();
}

void randomness(desk& on) {
  std::array<std::uint64_t, 8> drawn{};
  for (std::uint64_t& one : drawn) one = on.io().random();
  EXPECT_FALSE(std::ranges::all_of(drawn, [&](std::uint64_t one) { return one == drawn[0]; }));
}

void calls(desk& on) {
  EXPECT_FALSE(on.io().is_waiting_for_io()) << "nothing was asked";
  for (int i = 0; i < 20; ++i) {
    asked& one = on.make(io_op::run_blocking);
    one.memory = &one.calls;
    one.function = [](void* calls) { ++*static_cast<int*>(calls); };
    if (!on.start(one)) EXPECT_TRUE(on.io().is_waiting_for_io()) << "a call goes on";
    EXPECT_EQ(on.finish(one), 0);
    EXPECT_EQ(one.calls, 1) << "calls of the function";
  }
  EXPECT_FALSE(on.io().is_waiting_for_io()) << "all has ended";
}

// Sockets.

void addresses(desk& on) {
  raw_address at = loopback(0);
  const io_handle door = on.listen(at);
  EXPECT_NE(port_of(at), 0) << "the port that was chosen is not told";
  const joined both = on.join(door, at);
  raw_address own;
  raw_address seen;
  EXPECT_EQ(on.io().address_of(both.client, true, seen), 0);
  EXPECT_EQ(port_of(seen), port_of(at));
  EXPECT_EQ(on.io().address_of(both.client, false, own), 0);
  EXPECT_EQ(on.io().address_of(both.server, true, seen), 0);
  EXPECT_NE(port_of(own), 0);
  EXPECT_EQ(port_of(seen), port_of(own));
  const io_handle next = on.keep(on.io().make_socket(AF_INET));
  asked& accept = on.make(io_op::accept, door);
  asked& connect = on.make(io_op::connect, next);
  accept.point_to_peer({});
  connect.point_to_peer(at);
  on.start(accept);
  EXPECT_EQ(on.run(connect), 0);
  on.keep(static_cast<io_handle>(on.finish(accept)));
  EXPECT_EQ(on.io().address_of(next, false, own), 0);
  EXPECT_EQ(port_of(accept.peer), port_of(own)) << "accept tells who has come";
}

void bytes_in_order(desk& on) {
  const joined both = on.join();
  std::string text;
  for (int i = 0; i < 200; ++i) text += std::to_string(i) + ",";
  on.send_all(both.client, text.substr(0, 7));
  on.send_all(both.client, text.substr(7));
  asked& first = on.make(io_op::receive_into, both.server);
  first.point_to_space(4);
  EXPECT_TRUE(on.run(first) > 0 && first.outcome <= 4) << first.outcome;
  std::string got = in_space(first);
  on.shutdown(both.client);
  got += on.receive(both.server);
  EXPECT_EQ(got, text);
  EXPECT_EQ(on.receive(both.server), "") << "the end stays the end";
  on.send_all(both.server, "back");
  EXPECT_EQ(on.receive(both.client, 4), "back") << "the other direction goes on";
}

void many(desk& on) {
  raw_address at = loopback(0);
  const io_handle door = on.listen(at);
  std::vector<joined> all;
  std::vector<asked*> waiting;
  for (int i = 0; i < 12; ++i) {
    all.push_back(on.join(door, at));
    waiting.push_back(&on.make(io_op::receive, all.back().server));
    EXPECT_FALSE(on.start(*waiting.back())) << "nothing was sent";
  }
  for (std::size_t i = all.size(); i-- > 0;) on.send_all(all[i].client, std::to_string(i));
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (on.finish(*waiting[i]) < 1) continue;
    std::string got = desk::taken(*waiting[i]);
    got += on.receive(all[i].server, std::to_string(i).size() - got.size());
    EXPECT_EQ(got, std::to_string(i));
  }
}

void readiness(desk& on) {
  const joined both = on.join();
  asked& one = on.make(io_op::poll, both.server);
  one.flags = POLLIN;
  EXPECT_FALSE(on.start(one)) << "nothing was sent";
  on.look();
  EXPECT_FALSE(one.is_over()) << "nothing was sent";
  on.send_all(both.client, "x");
  EXPECT_EQ(on.finish(one) & POLLIN, POLLIN);
  EXPECT_EQ(on.receive(both.server, 1), "x");
}

void cancelled(desk& on) {
  raw_address at = loopback(0);
  const io_handle door = on.listen(at);
  const joined both = on.join(door, at);
  for (const io_op op : {io_op::accept, io_op::receive, io_op::receive_into, io_op::poll}) {
    asked& one = on.make(op, op == io_op::accept ? door : both.server);
    one.point_to_space(4);
    if (op == io_op::poll) one.flags = POLLIN;
    EXPECT_FALSE(on.start(one)) << "there is nothing to be had";
    on.look();
    EXPECT_FALSE(one.is_over()) << "there is nothing to be had";
    on.io().cancel(one);
    EXPECT_EQ(on.finish(one), -ECANCELED) << "operation " << static_cast<int>(op);
    if (!one.is_over()) return;
  }
  on.send_all(both.client, "kept");
  EXPECT_EQ(on.receive(both.server, 4), "kept");
}

void cancelled_late(desk& on) {
  const joined both = on.join();
  std::string all;
  std::string got;
  for (int i = 0; i < 40; ++i) {
    const std::string one(1, static_cast<char>('A' + i));
    asked& waiting = on.make(io_op::receive, both.server);
    const bool comes_first = i % 2 == 0;
    if (comes_first) on.send_all(both.client, one);
    const bool is_there = on.start(waiting);
    if (!comes_first) on.send_all(both.client, one);
    all += one;
    if (!is_there && !waiting.is_over()) on.io().cancel(waiting);
    const std::int64_t outcome = on.finish(waiting);
    if (outcome > 0) got += desk::taken(waiting);
    EXPECT_TRUE(outcome > 0 || outcome == -ECANCELED) << outcome;
  }
  on.shutdown(both.client);
  got += on.receive(both.server);
  EXPECT_EQ(got, all) << "a cancelled receive has taken bytes";
}

void again(desk& on) {
  const joined both = on.join();
  asked& one = on.make(io_op::receive, both.server);
  one.then = [](asked& told) noexcept {
    do {
      if (told.outcome <= 0) return;
      told.of->text += desk::taken(told);
      told.tellings = 0;
    } while (told.of->start(told));
  };
  if (on.start(one)) one.then(one);
  std::string all;
  for (int i = 0; i < 20; ++i) {
    const std::string piece = std::to_string(i);
    all += piece;
    on.send_all(both.client, piece);
    if (!on.wait_until([&] { return on.text.size() >= all.size(); })) break;
  }
  EXPECT_EQ(on.text, all);
  on.shutdown(both.client);
  EXPECT_EQ(on.finish(one), 0);
}

void closing(desk& on) {
  const joined both = on.join();
  asked& waiting = on.make(io_op::receive, both.server);
  EXPECT_FALSE(on.start(waiting)) << "nothing was sent";
  on.io().close_now(both.server);
  EXPECT_EQ(on.finish(waiting), -ECANCELED);
  EXPECT_EQ(on.receive(both.client), "") << "the peer sees the end";
  asked& close = on.make(io_op::close, both.client);
  EXPECT_EQ(on.run(close), 0);
  asked& late = on.make(io_op::receive, both.client);
  EXPECT_LT(on.run(late), 0) << "a handle that is closed";
}

void is_an_errno(std::int64_t outcome, io_op op) {
  EXPECT_TRUE(outcome < 0 && outcome > -4'096)
      << outcome << " for operation " << static_cast<int>(op);
}

void errors(desk& on) {
  for (const io_op op : {io_op::accept, io_op::receive, io_op::send, io_op::shutdown}) {
    asked& one = on.make(op);
    one.point_to_piece("x");
    is_an_errno(on.run(one), op);
  }
  raw_address at = loopback(0);
  EXPECT_LT(on.io().address_of(-1, false, at), 0);
  EXPECT_LT(on.io().set_option(-1, IPPROTO_TCP, 1, 1), 0);
  at = loopback(0);
  const io_handle door = on.io().make_listener(at, {});
  EXPECT_GE(door, 0);
  raw_address same = at;
  EXPECT_EQ(on.io().make_listener(same, {}), -EADDRINUSE);
  on.io().close_now(door);
  asked& refused = on.make(io_op::connect, on.keep(on.io().make_socket(AF_INET)));
  refused.point_to_peer(at);
  EXPECT_EQ(on.run(refused), -ECONNREFUSED);
}

// What a driver may be without.

void pipes(desk& on) {
  io_handle ends[2] = {-1, -1};
  const int made = on.io().make_pipe(ends);
  if (made == driver::no_such_call) return;
  EXPECT_EQ(made, 0);
  on.keep(ends[0]);
  on.send_all(on.keep(ends[1]), "through");
  EXPECT_EQ(on.receive(ends[0], 7), "through");
  asked& waiting = on.make(io_op::receive, ends[0]);
  EXPECT_FALSE(on.start(waiting)) << "nothing was sent";
  on.io().cancel(waiting);
  EXPECT_EQ(on.finish(waiting), -ECANCELED);
  on.send_all(ends[1], "kept");
  EXPECT_EQ(on.receive(ends[0], 4), "kept");
}

void datagrams(desk& on) {
  raw_address at = loopback(0);
  raw_address from = loopback(0);
  const io_handle target = on.io().make_datagram_socket(AF_INET, at, {});
  if (target == driver::no_such_call) return;
  on.keep(target);
  const io_handle source = on.keep(on.io().make_datagram_socket(AF_INET, from, {}));
  asked& sending = on.make(io_op::send_datagrams, source);
  sending.datagram.piece = {.data = "whole", .size = 5};
  sending.datagram.address = at;
  sending.memory = &sending.datagram;
  sending.size = 1;
  EXPECT_EQ(on.run(sending), 1);
  asked& receiving = on.make(io_op::receive_datagrams, target);
  receiving.memory = &receiving.datagram;
  receiving.size = 1;
  EXPECT_EQ(on.run(receiving), 1);
  EXPECT_EQ(receiving.datagram.text(), "whole");
  EXPECT_EQ(port_of(receiving.datagram.address), port_of(from));
}

// Files.

struct file_desk {
  desk& on;
  std::string folder;

  std::string path(const char* name) const { return folder + "/" + name; }
  std::int64_t run(io_op op, const std::string& on_path, std::uint32_t flags = 0,
                   const std::string& to = {}, io_handle in = -1) const {
    asked& one = on.make(op, in);
    one.path_of_its_own = on_path;
    one.path_to_of_its_own = to;
    one.path = one.path_of_its_own.c_str();
    one.path_to = one.path_to_of_its_own.c_str();
    one.flags = flags;
    one.mode = op == io_op::make_dir ? 0700 : 0600;
    return on.run(one);
  }
  std::int64_t run(io_op op, io_handle file, std::uint64_t offset, std::uint32_t flags = 0) const {
    asked& one = on.make(op, file);
    one.offset = offset;
    one.flags = flags;
    return on.run(one);
  }
  std::int64_t write(io_handle file, std::uint64_t offset, std::string_view text,
                     bool is_durable = false) const {
    asked& one = on.make(io_op::write_at, file);
    one.point_to_piece(text);
    one.offset = offset;
    one.flags = is_durable ? 1 : 0;
    return on.run(one);
  }
  std::string read(io_handle file, std::uint64_t offset) const {
    asked& one = on.make(io_op::read_at, file);
    one.point_to_space(one.space.size());
    one.offset = offset;
    EXPECT_TRUE(on.run(one) >= 0 && one.outcome <= 64) << one.outcome;
    return in_space(one);
  }
  std::vector<std::string> names() const {
    std::vector<std::string> found;
    const auto note = [](void* into, const char* name) {
      static_cast<std::vector<std::string>*>(into)->emplace_back(name);
    };
    EXPECT_EQ(on.io().list_dir(folder.c_str(), note, &found), 0);
    std::ranges::sort(found);
    return found;
  }
};

file_desk new_folder(desk& on) {
  file_desk made{.on = on,
                 .folder = on.folder() + "driver_contract_" + std::to_string(on.io().random())};
  EXPECT_EQ(made.run(io_op::make_dir, made.folder), 0);
  return made;
}

void files(desk& on) {
  const file_desk in = new_folder(on);
  const auto file =
      static_cast<io_handle>(in.run(io_op::open, in.path("a"), O_RDWR | O_CREAT | O_EXCL));
  on.keep(file);
  EXPECT_EQ(in.write(file, 0, "hello "), 6);
  EXPECT_EQ(in.write(file, 6, "there", true), 5);
  EXPECT_EQ(in.read(file, 0), "hello there");
  EXPECT_EQ(in.read(file, 11), "") << "at the end";
  EXPECT_EQ(in.run(io_op::sync, file, 0, 1), 0);
  EXPECT_EQ(in.run(io_op::truncate, file, 5), 0);
  EXPECT_EQ(in.read(file, 0), "hello");
  file_status found;
  EXPECT_EQ(on.io().status_of(file, found), 0);
  EXPECT_EQ(found.size, 5u);
  EXPECT_EQ(in.run(io_op::rename, in.path("a"), 0, in.path("b")), 0);
  EXPECT_EQ(in.run(io_op::sync_dir, in.folder), 0);
  EXPECT_EQ(in.names(), std::vector<std::string>{"b"});
  EXPECT_EQ(on.io().status_of(in.path("b").c_str(), found), 0);
  EXPECT_FALSE(found.is_directory);
  const auto newer =
      static_cast<io_handle>(in.run(io_op::open, in.path("c"), O_RDWR | O_CREAT | O_EXCL));
  on.keep(newer);
  EXPECT_EQ(in.write(newer, 0, "newer"), 5);
  EXPECT_EQ(in.run(io_op::rename, in.path("c"), 0, in.path("b")), 0) << "it takes the name over";
  EXPECT_EQ(in.names(), std::vector<std::string>{"b"});
  EXPECT_EQ(in.read(file, 0), "hello") << "the file that had the name stays while it is open";
  const auto found_now = static_cast<io_handle>(in.run(io_op::open, in.path("b"), O_RDONLY));
  on.keep(found_now);
  EXPECT_EQ(in.read(found_now, 0), "newer");
  EXPECT_EQ(in.run(io_op::remove, in.path("b")), 0);
  EXPECT_EQ(in.read(file, 0), "hello") << "an open file stays when its name goes";
  const auto log = static_cast<io_handle>(
      in.run(io_op::open, in.path("log"), O_RDWR | O_CREAT | O_EXCL | O_APPEND));
  on.keep(log);
  EXPECT_EQ(in.write(log, 0, "1"), 1);
  EXPECT_EQ(in.write(log, 0, "2"), 1);
  EXPECT_EQ(in.read(log, 0), "12") << "to the end, whatever the offset";
  EXPECT_EQ(in.run(io_op::remove, in.path("log")), 0);
  EXPECT_EQ(in.run(io_op::remove, in.folder, 1), 0);
}

void directories(desk& on) {
  const file_desk in = new_folder(on);
  const auto held = static_cast<io_handle>(in.run(io_op::open, in.folder, O_RDONLY | O_DIRECTORY));
  on.keep(held);
  const file_desk moved{.on = on, .folder = in.folder + "_moved"};
  EXPECT_EQ(in.run(io_op::rename, in.folder, 0, moved.folder), 0);
  EXPECT_EQ(in.run(io_op::make_dir, in.folder), 0) << "another takes its place";
  const auto file = static_cast<io_handle>(in.run(io_op::open, "a", O_RDWR | O_CREAT, {}, held));
  on.keep(file);
  EXPECT_EQ(moved.names(), std::vector<std::string>{"a"});
  EXPECT_EQ(in.run(io_op::rename, "a", 0, "b", held), 0);
  EXPECT_EQ(in.run(io_op::sync_dir, held, 0), 0);
  EXPECT_EQ(in.run(io_op::sync_dir, "", 0, {}, held), 0) << "the path says nothing";
  EXPECT_EQ(moved.names(), std::vector<std::string>{"b"});
  EXPECT_EQ(in.run(io_op::remove, "a", 0, {}, held), -ENOENT);
  EXPECT_EQ(in.run(io_op::remove, "b", 0, {}, held), 0);
  EXPECT_EQ(in.run(io_op::remove, "b", 0, {}, file), -ENOTDIR);
  EXPECT_EQ(in.run(io_op::remove, moved.folder, 1), 0);
  EXPECT_EQ(in.run(io_op::open, "a", O_RDWR | O_CREAT, {}, held), -ENOENT) << "it is removed";
  EXPECT_EQ(in.names(), std::vector<std::string>{}) << "nothing was done by its path";
  EXPECT_EQ(in.run(io_op::remove, in.folder, 1), 0);
}

void file_errors(desk& on) {
  const file_desk in = new_folder(on);
  const std::string missing = in.path("missing");
  file_status found;
  EXPECT_EQ(in.run(io_op::open, missing, O_RDONLY), -ENOENT);
  EXPECT_EQ(in.run(io_op::remove, missing), -ENOENT);
  EXPECT_EQ(in.run(io_op::rename, missing, 0, in.path("other")), -ENOENT);
  EXPECT_EQ(on.io().status_of(missing.c_str(), found), -ENOENT);
  EXPECT_EQ(in.run(io_op::make_dir, in.folder), -EEXIST);
  is_an_errno(in.write(-1, 0, "x"), io_op::write_at);
  is_an_errno(in.run(io_op::sync, io_handle{-1}, 0), io_op::sync);
  EXPECT_EQ(in.run(io_op::remove, in.folder, 1), 0);
}

void file_locks(desk& on) {
  const file_desk in = new_folder(on);
  const auto one = static_cast<io_handle>(in.run(io_op::open, in.path("a"), O_RDWR | O_CREAT));
  const auto other = static_cast<io_handle>(in.run(io_op::open, in.path("a"), O_RDWR));
  EXPECT_EQ(on.io().lock_file(one), 0);
  EXPECT_EQ(on.io().lock_file(other), -EWOULDBLOCK) << "it is held";
  on.io().close_now(one);
  EXPECT_EQ(on.io().lock_file(other), 0) << "its holder has closed the file";
  on.io().close_now(other);
  EXPECT_EQ(in.run(io_op::remove, in.path("a")), 0);
  EXPECT_EQ(in.run(io_op::remove, in.folder, 1), 0);
}

struct driver_rule {
  const char* sentence;
  void (*check)(desk&);
  bool needs_files = false;
};
constexpr driver_rule all_rules[] = {
    {"the clock never goes back", &clock},
    {"the wall clock tells the time since 1970, and goes on", &wall_clock},
    {"a wait for nothing ends not before its time", &time_of_wait},
    {"a wake-up from any thread ends a wait, or the next one", &wake_ups},
    {"random numbers differ", &randomness},
    {"a call that blocks runs once, and the driver waits for it", &calls},
    {"a listener tells its port, and both ends know each other's", &addresses},
    {"bytes arrive in order, and the end is an outcome of 0 that stays", &bytes_in_order},
    {"of many that wait each hears of its own end", &many},
    {"readiness is waited for", &readiness},
    {"what is cancelled ends once with ECANCELED, from a wait, and takes nothing", &cancelled},
    {"a cancel that comes late loses nothing", &cancelled_late},
    {"a request is its owner's again when its end is told", &again},
    {"closing ends what waits for the handle", &closing},
    {"errors are negative numbers of errno", &errors},
    {"a pipe takes bytes from one end to the other", &pipes},
    {"a datagram arrives whole and says who sent it", &datagrams},
    {"what was written to a file is read, by whatever name it has", &files, true},
    {"what is done by a name in an open directory is done there, wherever it went", &directories,
     true},
    {"errors of files are those of errno", &file_errors, true},
    {"a file is locked by one handle until that is closed", &file_locks, true},
};

template <std::size_t Which>
void check_rule_of(const driver_kit& kit) {
  std::unique_ptr<driver> io = kit.make();
  if (!io) GTEST_SKIP() << "there is no such driver on this machine";
  desk on(std::move(io), kit);
  all_rules[Which].check(on);
  on.check_tellings();
}

template <std::size_t... Which>
std::vector<contract_rule> rules_of(const driver_kit& kit, std::index_sequence<Which...>) {
  std::vector<contract_rule> made;
  const auto add = [&](const driver_rule& one, void (*check)(const driver_kit&)) {
    if (one.needs_files && !kit.folder) return;
    made.push_back({.sentence = one.sentence, .of_driver = check, .drivers = &kit});
  };
  (add(all_rules[Which], &check_rule_of<Which>), ...);
  return made;
}

}  // namespace

std::vector<contract_rule> driver_rules(const driver_kit& kit) {
  return rules_of(kit, std::make_index_sequence<std::size(all_rules)>());
}

}  // namespace weir::testing
