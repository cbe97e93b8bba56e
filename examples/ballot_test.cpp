// A service on simulated machines: a box counts votes that come from a voter's machine. Whatever
// happens to machines, cables and disks, what was answered "counted" is there, and there once.
// docs/guide/simulated-machines.md shows it.
// [includes]
#include <weir/core.hpp>
#include <weir/flow/mutex.hpp>
#include <weir/io/file.hpp>
#include <weir/io/file_stream.hpp>
#include <weir/io/reader.hpp>
#include <weir/io/socket.hpp>
#include <weir/sim/chaos.hpp>
#include <weir/sim/virtual_nodes.hpp>

#include <gtest/gtest.h>

#include <cstdlib>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace {

using namespace weir::literals;
// [/includes]

// [box]
enum class flaw { none, answers_before_it_is_safe, trusts_what_it_finds, counts_each_try };

class ballot_box {
 public:
  explicit ballot_box(flaw has) : has_(has) {}

  // What was counted in an earlier life. That life may have ended before it was safe on the disk.
  weir::task<> open() {
    if (weir::path_status("/votes")) {
      weir::file book = co_await weir::open_file("/votes");
      weir::file_source text(book);
      weir::reader lines(text);
      while (const auto vote = co_await lines.read_line()) votes_.emplace(vote->text());
    }
    if (has_ != flaw::trusts_what_it_finds) co_await save(votes_);
  }

  // When this is over, the vote is safe. The same one may come again.
  weir::task<> count(std::string vote) {
    const auto held = co_await counting_.lock();
    if (votes_.contains(vote) && has_ != flaw::counts_each_try) co_return;
    auto next = votes_;
    next.insert(std::move(vote));
    co_await save(next);
    votes_ = std::move(next);
  }

 private:
  // The whole book anew, beside the old one, and then in its place.
  weir::task<> save(const std::multiset<std::string>& votes) {
    std::string text;
    for (const std::string& vote : votes) text += vote + '\n';
    weir::file book =
        co_await weir::open_file("/votes.new", {.write = true, .create = true, .truncate = true});
    co_await book.write_at(0, text);
    if (has_ != flaw::answers_before_it_is_safe) co_await book.sync();
    co_await weir::rename_path("/votes.new", "/votes");
    co_await weir::sync_dir("/");
  }

  flaw has_;
  weir::mutex counting_{"counting"};
  std::multiset<std::string> votes_;
};
// [/box]

// [server]
weir::task<> answer(ballot_box* box, weir::socket voter) {
  weir::reader lines(voter);
  // A line that has its end: read_line() would take "4 A" of a voter that died there.
  while (const auto vote = co_await weir::as_result(lines.read_until("\n"))) {
    const auto done = co_await weir::as_result(box->count(std::string(vote->text())));
    std::string said = "counted\n";
    if (!done) said = "refused: " + std::string(weir::name(done.error().code())) + '\n';
    co_await voter.send(said);
  }
}

weir::task<> serve(flaw has) {
  ballot_box box(has);
  co_await box.open();
  weir::listener door = co_await weir::listen({.host = "*", .port = 7000});
  co_await weir::with_scope(
      {.tasks_max = 1'000, .failures = weir::report}, [&](weir::scope& voters) -> weir::task<> {
        for (;;) co_await voters.spawn_when_room(answer, &box, co_await door.accept());
      });
}
// [/server]

// [voter]
// What was done and told on the voter's machine. The test keeps it, so no crash takes it away.
struct notes {
  std::multiset<std::string> sent;
  std::vector<std::string> counted;
  std::set<std::string> refusals;
};

weir::task<std::string> ask(std::string box, std::string vote) {
  weir::socket line = co_await weir::connect(box, 7000);
  co_await line.send(vote + '\n');
  weir::reader lines(line);
  const auto said = co_await lines.read_line();
  co_return said ? std::string(said->text()) : "nothing";
}

weir::task<> vote_for_ada(std::string box, int votes, weir::duration pause, notes* to) {
  for (int number = 1; number <= votes; ++number) {
    const std::string vote = std::to_string(number) + " Ada";
    for (;;) {
      to->sent.insert(vote);
      const auto said = co_await weir::as_result(weir::with_timeout(2_s, ask(box, vote)));
      if (said && *said == "counted") break;
      if (said) to->refusals.insert(*said);
      co_await weir::sleep(1_s);
    }
    to->counted.push_back(vote);
    co_await weir::sleep(pause);
  }
}
// [/voter]

// [machines]
struct server final : weir::node_program {
  weir::task<> main(weir::virtual_node&) override { co_await serve(has); }
  flaw has = flaw::none;
};
struct voter final : weir::node_program {
  weir::task<> main(weir::virtual_node&) override {
    co_await vote_for_ada(box, votes, pause, &heard);
  }
  std::string box;
  int votes = 10;
  weir::duration pause = {};
  notes heard;
};

weir::node_options machine(const char* name) {
  return {.name = name,
          .world = {.shuffle = true,  // ready tasks, in any order
                    .latency_min = 1_ms,
                    .latency_max = 10_ms,
                    .short_chance = 0.3}};
}

// Two machines and what runs on them, made of a seed. Programs come before the machines, which take
// them down when they go.
struct election {
  explicit election(std::uint64_t seed, flaw has = flaw::none) : decisions(seed) {
    serving.has = has;
    voting.box = box.address();
    box.start(serving);
    all.run_for(100_ms);
    home.start(voting);
  }

  // Votes come for half a second when nothing goes wrong.
  weir::duration a_moment(weir::duration last = 500_ms) {
    return weir::duration(decisions.between(weir::choice_kind::fault, 0, last.ns));
  }
  // What was promised and isn't true. Empty: all is well.
  std::string broken() {
    if (!all.run_for(10_min)) return "no time passes";
    if (box.has_ended()) return "the box ended by itself: " + box.outcome().failure;
    if (!home.has_ended()) return "the voter is still at it";
    if (home.outcome().is_failed) return home.outcome().failure;
    std::multiset<std::string> book;
    const auto text = box.world().disk().content_of("/votes");
    std::istringstream lines(text ? *text : "");
    for (std::string line; std::getline(lines, line);) book.insert(line);
    for (const std::string& vote : voting.heard.counted) {
      if (!book.contains(vote)) return vote + " was counted and is gone";
      if (book.count(vote) > 1) return vote + " counts twice";
    }
    for (const std::string& vote : book) {
      if (!voting.heard.sent.contains(vote)) return "nobody has sent " + vote;
    }
    return "";
  }

  server serving;
  voter voting;
  weir::choices decisions;
  weir::virtual_nodes all{decisions};
  weir::virtual_node& box = all.add(machine("box"));
  weir::virtual_node& home = all.add(machine("home"));
};
// [/machines]

// [seeds]
// `SEED=17 build/ballot_test` runs this one only.
const char* only_seed() { return std::getenv("SEED"); }

// The first seed that breaks a promise, and which; empty when none does.
template <class F>
std::string first_broken(F run, std::uint64_t seeds = 50) {
  const std::uint64_t first = only_seed() ? std::strtoull(only_seed(), nullptr, 10) : 1;
  const std::uint64_t last = only_seed() ? first : seeds;
  for (std::uint64_t seed = first; seed <= last; ++seed) {
    const std::string broken = run(seed);
    if (!broken.empty()) return "seed " + std::to_string(seed) + ": " + broken;
  }
  return "";
}
// [/seeds]

// [power]
std::string lose_power(std::uint64_t seed, flaw has) {
  election one(seed, has);
  one.all.run_for(one.a_moment());
  one.box.cut_power();
  one.all.run_for(5_s);
  one.box.start(one.serving);
  return one.broken();
}

TEST(Ballot, what_was_counted_survives_a_power_cut) {
  EXPECT_EQ(first_broken([](auto seed) { return lose_power(seed, flaw::none); }), "");
}
// [/power]

// [planted]
TEST(Ballot, an_answer_before_the_sync_is_found) {
  const auto found =
      first_broken([](auto seed) { return lose_power(seed, flaw::answers_before_it_is_safe); });
  EXPECT_TRUE(found.ends_with("was counted and is gone") || only_seed()) << found;
}
// [/planted]

// [killed]
std::string die_and_lose_power(std::uint64_t seed, flaw has) {
  election one(seed, has);
  one.voting.votes = 1;
  one.all.run_for(one.a_moment(50_ms));
  one.box.kill();
  one.box.start(one.serving);
  one.all.run_for(1_min);
  one.box.cut_power(weir::crash_loss::all);
  one.box.start(one.serving);
  return one.broken();
}

TEST(Ballot, what_a_killed_box_has_left_is_made_safe_by_the_next_one) {
  EXPECT_EQ(first_broken([](auto seed) { return die_and_lose_power(seed, flaw::none); }), "");
  const auto found =
      first_broken([](auto seed) { return die_and_lose_power(seed, flaw::trusts_what_it_finds); });
  EXPECT_TRUE(found.ends_with("was counted and is gone") || only_seed()) << found;
}
// [/killed]

// [half]
std::string lose_the_voter(std::uint64_t seed) {
  election one(seed);
  one.all.run_for(one.a_moment());
  one.home.kill();
  one.home.start(one.voting);
  return one.broken();
}

TEST(Ballot, a_voter_that_dies_in_the_middle_of_a_vote_has_not_voted) {
  EXPECT_EQ(first_broken([](auto seed) { return lose_the_voter(seed); }), "");
}
// [/half]

// [partition]
std::string part(std::uint64_t seed, flaw has, std::size_t* sent_again) {
  election one(seed, has);
  weir::link_conditions& there = one.all.links().between(one.home.host(), one.box.host());
  weir::link_conditions& back = one.all.links().between(one.box.host(), one.home.host());
  one.all.run_for(one.a_moment());
  const auto which = one.decisions.below(weir::choice_kind::fault, 3);
  there.is_cut = which != 0;  // the votes
  back.is_cut = which != 1;   // the answers
  one.all.run_for(30_s);
  there.is_cut = back.is_cut = false;
  const std::string broken = one.broken();
  *sent_again += one.voting.heard.sent.size() - one.voting.heard.counted.size();
  return broken;
}

TEST(Ballot, a_vote_that_is_sent_again_after_a_partition_counts_once) {
  std::size_t sent_again = 0;
  EXPECT_EQ(first_broken([&](auto seed) { return part(seed, flaw::none, &sent_again); }), "");
  EXPECT_TRUE(sent_again > 50 || only_seed()) << sent_again;
}

TEST(Ballot, a_box_that_counts_each_try_is_found) {
  std::size_t sent_again = 0;
  const auto found =
      first_broken([&](auto seed) { return part(seed, flaw::counts_each_try, &sent_again); });
  EXPECT_TRUE(found.ends_with("counts twice") || only_seed()) << found;
}
// [/partition]

// [disk]
TEST(Ballot, a_full_disk_refuses_votes_and_takes_them_when_there_is_room) {
  election one(1);
  weir::virtual_disk& disk = one.box.world().disk();
  disk.set_quota(60);  // bytes: a book of four votes and, beside it, one of five
  one.all.run_for(10_s);
  EXPECT_EQ(one.voting.heard.counted.size(), 5u);
  EXPECT_EQ(one.voting.heard.refusals, std::set<std::string>{"refused: no_space"});
  disk.set_quota(1 << 20);
  EXPECT_EQ(one.broken(), "");
}

std::string fall_ill(std::uint64_t seed, std::set<std::string>* refusals) {
  election one(seed);
  one.all.run_for(one.a_moment());
  one.box.world().set_illness({.write_error = 0.1, .sync_error = 0.3});
  one.all.run_for(30_s);
  one.box.cut_power();
  one.box.world().set_illness({});
  one.box.start(one.serving);
  refusals->merge(one.voting.heard.refusals);
  return one.broken();
}

TEST(Ballot, an_ill_disk_refuses_votes_and_loses_none) {
  std::set<std::string> refusals;
  EXPECT_EQ(first_broken([&](auto seed) { return fall_ill(seed, &refusals); }), "");
  EXPECT_TRUE(refusals.contains("refused: io") || only_seed());
}
// [/disk]

// [chaos]
struct all_faults final : weir::chaos_host {
  explicit all_faults(election& in) : of(in) {}
  weir::node_program& program_of(weir::virtual_node& node) override {
    if (&node == &of.box) return of.serving;
    return of.voting;
  }
  void struck(weir::chaos_kind, weir::virtual_node* on, const std::string& how) override {
    events += std::to_string(of.all.elapsed().ns / 1'000'000) + " ms: ";
    events += (on ? on->name() + ' ' : "") + how + '\n';
  }
  election& of;
  std::string events;
};

std::string suffer(std::uint64_t seed, flaw has) {
  election one(seed, has);
  one.voting.pause = 20_s;
  all_faults host(one);
  weir::chaos faults(one.all, weir::chaos_set::all(), host);
  for (int i = 0; i < 30; ++i) {
    faults.run_for(10_s);
    if (one.box.has_ended()) one.box.start(one.serving);  // its disk was ill when it started
  }
  faults.heal();
  if (one.box.has_ended()) one.box.start(one.serving);
  const std::string broken = one.broken();
  return broken.empty() ? "" : broken + ", after\n" + host.events;
}

TEST(Ballot, what_was_counted_is_there_once_whatever_happens) {
  EXPECT_EQ(first_broken([](auto seed) { return suffer(seed, flaw::none); }, 10), "");
}
// [/chaos]

TEST(Ballot, each_flaw_is_found_by_faults_at_random) {
  for (const flaw has : {flaw::answers_before_it_is_safe, flaw::counts_each_try}) {
    const auto found = first_broken([=](auto seed) { return suffer(seed, has); });
    const bool is_found = found.contains("is gone") || found.contains("counts twice");
    EXPECT_TRUE(is_found || only_seed()) << found;
  }
}

// [same]
TEST(Ballot, a_seed_is_one_run) {
  const auto fingerprint = [](std::uint64_t seed) {
    election one(seed);
    one.all.run_for(1_min);
    return one.all.fingerprint();
  };
  EXPECT_EQ(fingerprint(17), fingerprint(17));
  EXPECT_NE(fingerprint(17), fingerprint(18));
}
// [/same]

}  // namespace
