// Every call of the broker, cancelled at every point: no message is lost, there twice or taken by
// nobody, nobody else waits on, and what an answer has said is there after the next opening.
#include <weir/broker/broker.hpp>
#include <weir/broker/folder_secret.hpp>
#include <weir/broker/internal/broker_kit.hpp>
#include <weir/broker/waiting_line.hpp>
#include <weir/core.hpp>
#include <weir/testing/acknowledged.hpp>
#include <weir/testing/cancel_points.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace weir::cancelled_calls_test {
namespace {

using namespace weir::literals;
using detail::submit_text;
using detail::take;
using detail::tiny_broker;
using detail::with_broker;
using testing::cancel_at_every_point;
using testing::victim;

/// A broker with one queue, in an order that `body` sees; what it has done is on the disk after.
template <class Body>
task<> with_queue(Body body) {
  testing::may_leave_messages();  // of those whose worker was cancelled
  co_await with_broker(tiny_broker(), [&](broker& b) -> task<> {
    co_await b.put_queue("q", {});
    co_await body(b);
  });
}

TEST(CancelledBroker, an_opening_leaves_a_folder_that_opens_with_the_same_messages) {
  cancel_at_every_point([](victim& v) -> task<> {
    co_await with_queue([](broker& b) -> task<> { co_await submit_text(b, "q", "x"); });
    co_await v.run(
        []() -> task<> { EXPECT_TRUE((co_await broker::open(tiny_broker()))->has_queue("q")); }());
    co_await with_queue(
        [](broker& b) -> task<> { EXPECT_EQ((co_await take(b, "q", 5)).size(), 1u); });
  });
}

TEST(CancelledBroker, the_first_opening_leaves_a_folder_that_opens) {
  cancel_at_every_point([](victim& v) -> task<> {
    co_await v.run([]() -> task<> { (void)co_await broker::open(tiny_broker()); }());
    co_await with_queue([](broker& b) -> task<> { co_await submit_text(b, "q", "x"); });
  });
}

TEST(CancelledBroker, a_look_at_the_secret_changes_nothing) {
  cancel_at_every_point([](victim& v) -> task<> {
    co_await with_queue([](broker&) -> task<> { co_return; });
    co_await v.run([]() -> task<> { EXPECT_EQ(co_await secret_fault("/data"), ""); }());
    EXPECT_EQ(co_await secret_fault("/data"), "");
  });
}

TEST(CancelledBroker, a_run_writes_what_was_accepted_and_tells_all_who_wait) {
  cancel_at_every_point([](victim& v) -> task<> {
    std::size_t accepted = 0;
    {
      const auto b = co_await broker::open(tiny_broker());
      co_await with_scope([&](scope& s) -> task<> {
        s.spawn(
            [](broker* to, std::size_t* count) -> task<> {
              if (co_await to->put_queue("q", {})) {
                for (int i = 0; i < 3; ++i) {
                  *count += co_await to->submit("q", {.body = "x"}) ? 1 : 0;
                }
              }
              (void)co_await as_result(to->close());
            },
            b.get(), &accepted);
        s.spawn(
            [](broker* from) -> task<> {
              (void)co_await with_timeout(60_s, from->lease("q", 1, 50_s, 1_ms));
            },
            b.get());
        co_await v.run(b->run());
      });
      EXPECT_LT(testing::elapsed(), 10_s);
    }
    if (!v.was_cancelled()) EXPECT_EQ(accepted, 3u);
    co_await with_queue([&](broker& b) -> task<> {
      const auto queue = b.queue("q");
      EXPECT_GE(queue->ready + queue->delayed + queue->leased, accepted);
      co_return;
    });
  });
}

TEST(CancelledBroker, a_close_goes_on_closing) {
  cancel_at_every_point([](victim& v) -> task<> {
    co_await with_queue([&](broker& b) -> task<> {
      co_await with_scope([&](scope& s) -> task<> {
        s.spawn([](broker* to) -> task<> { (void)co_await to->submit("q", {.body = "x"}); }, &b);
        co_await yield();
        co_await v.run(b.close());
      });
      co_await with_timeout(10_s, b.close());
      EXPECT_EQ(b.log().stats().lsn_durable, b.log().stats().lsn_appended);
    });
  });
}

TEST(CancelledBroker, a_setting_or_deletion_of_a_queue_has_happened_or_not) {
  cancel_at_every_point([](victim& v) -> task<> {
    int done = 0;
    co_await with_queue([&](broker& b) -> task<> {
      co_await v.run([](broker* to, int* count) -> task<> {
        EXPECT_TRUE(co_await to->put_queue("new", {.attempts = 7}));
        ++*count;
        EXPECT_TRUE(co_await to->delete_queue("q"));
        ++*count;
      }(&b, &done));
    });
    co_await with_broker(tiny_broker(), [&](broker& b) -> task<> {
      const auto made = b.queue("new");
      if (made) EXPECT_EQ(made->settings.attempts, 7u);
      if (done >= 1) EXPECT_TRUE(made);
      if (done < 1) EXPECT_TRUE(b.has_queue("q"));
      if (done == 2) EXPECT_FALSE(b.has_queue("q"));
      co_return;
    });
  });
}

TEST(CancelledBroker, a_submit_has_stored_its_message_once_or_not) {
  cancel_at_every_point([](victim& v) -> task<> {
    std::string id;
    co_await with_queue([&](broker& b) -> task<> {
      co_await v.run([](broker* to, std::string* got) -> task<> {
        *got = (co_await to->submit("q", {.body = "x", .key = "k"}))->id;
      }(&b, &id));
    });
    co_await with_queue([&](broker& b) -> task<> {
      const auto again = co_await b.submit("q", {.body = "x", .key = "k"});
      if (!id.empty()) EXPECT_TRUE(again->is_duplicate && again->id == id);
      EXPECT_EQ(b.queue("q")->ready, 1u);
    });
  });
}

TEST(CancelledBroker, a_batch_is_stored_as_a_whole_or_not) {
  cancel_at_every_point([](victim& v) -> task<> {
    bool is_told = false;
    co_await with_queue([&](broker& b) -> task<> {
      co_await v.run([](broker* to, bool* told) -> task<> {
        const std::vector<new_message> batch(5, new_message{.body = "x"});
        *told = (co_await to->submit_batch("q", batch)).has_value();
      }(&b, &is_told));
    });
    co_await with_queue([&](broker& b) -> task<> {
      const std::uint64_t ready = b.queue("q")->ready;
      EXPECT_TRUE(ready == 5 || (ready == 0 && !is_told)) << ready;
      co_return;
    });
  });
}

TEST(CancelledBroker, a_submit_that_waits_for_room_leaves_the_room_or_tells_that_it_took_it) {
  cancel_at_every_point([](victim& v) -> task<> {
    co_await with_queue([&](broker& b) -> task<> {
      co_await b.put_queue("q", {.capacity_messages = 1});
      co_await submit_text(b, "q", "0");
      std::string got;
      bool is_told = false;
      co_await with_scope([&](scope& s) -> task<> {
        s.spawn(
            [](broker* from, std::string* texts) -> task<> {
              co_await sleep(1_ms);
              while (!texts->contains('2')) {
                const auto taken = co_await from->lease("q", 1, 5_s, std::nullopt);
                WEIR_REQUIRE(taken && !taken->empty());
                *texts += taken->at(0).body.text();
                EXPECT_TRUE(co_await from->ack(taken->at(0).receipt, "", ""));
              }
            },
            &b, &got);
        s.spawn(
            [](broker* to) -> task<> {
              co_await yield();
              EXPECT_TRUE(co_await to->submit("q", {.body = "2"}, 60_s));
            },
            &b);
        co_await v.run([](broker* to, bool* told) -> task<> {
          *told = (co_await to->submit("q", {.body = "1"}, 60_s)).has_value();
        }(&b, &is_told));
      });
      for (const taken_message& one : co_await take(b, "q", 5)) got += one.body.text();
      std::ranges::sort(got);
      EXPECT_EQ(got, is_told ? "012" : "02");
      EXPECT_LT(testing::elapsed(), 1_s);
    });
  });
}

/// All that is there within a second, each at its first attempt.
task<std::string> take_all(broker& b, std::size_t count) {
  std::string got;
  while (got.size() < count) {
    const auto taken = co_await b.lease("q", count, 1_s, std::nullopt);
    if (!taken || taken->empty()) break;
    for (const taken_message& one : *taken) {
      got += one.body.text();
      EXPECT_EQ(one.attempt, 1u);
    }
  }
  std::ranges::sort(got);
  co_return got;
}

TEST(CancelledBroker, a_lease_leaves_its_messages_to_others_at_once) {
  cancel_at_every_point([](victim& v) -> task<> {
    co_await with_queue([&](broker& b) -> task<> {
      for (const char* text : {"a", "b", "c"}) co_await submit_text(b, "q", text);
      std::size_t taken = 0;
      co_await v.run([](broker* from, std::size_t* count) -> task<> {
        *count = (co_await take(*from, "q", 3)).size();
      }(&b, &taken));
      EXPECT_EQ(co_await take_all(b, 3), taken == 0 ? "abc" : "");
      if (!v.was_cancelled()) EXPECT_EQ(taken, 3u);
    });
  });
}

TEST(CancelledBroker, a_wait_for_messages_leaves_what_came_to_the_next_who_waits) {
  cancel_at_every_point([](victim& v) -> task<> {
    co_await with_queue([&](broker& b) -> task<> {
      std::size_t first = 0;
      std::size_t second = 0;
      const auto wait_for_one = [](broker* from, std::size_t* count) -> task<> {
        co_await yield();
        *count = (co_await from->lease("q", 1, 5_s, std::nullopt))->size();
      };
      co_await with_scope([&](scope& s) -> task<> {
        s.spawn(
            [](broker* to) -> task<> {
              co_await sleep(1_ms);
              co_await submit_text(*to, "q", "x");
            },
            &b);
        s.spawn(wait_for_one, &b, &second);
        co_await v.run(wait_for_one(&b, &first));
      });
      EXPECT_EQ(first + second, 1u);
      EXPECT_EQ(b.queue("q")->leased, 1u);
    });
  });
}

constexpr std::size_t many = 15;  // to give them back takes more room than a small submit leaves

task<> take_many(broker* from, std::size_t* got) {
  *got = (co_await take(*from, "q", many)).size();
}
task<> take_many_as(victim* cut, broker* from, std::size_t* got) {
  co_await cut->run(take_many(from, got));
}
task<> submit_other(broker* to, std::size_t size) {
  const std::string body(size, 'x');
  EXPECT_TRUE(co_await to->submit("other", {.body = body}));
}

// Others fill the journal at every moment: what a lease gives back has to wait for room.
TEST(CancelledBroker, a_lease_leaves_its_messages_to_others_when_the_journal_is_full) {
  cancel_at_every_point([](victim& v) -> task<> {
    testing::may_leave_messages();
    broker_options options = tiny_broker();
    options.journal.pending_bytes_max = options.journal.group_bytes_max;
    co_await with_broker(options, [&](broker& b) -> task<> {
      co_await b.put_queue("q", {});
      co_await b.put_queue("other", {});
      const std::vector<new_message> batch(many, new_message{.body = "x"});
      EXPECT_TRUE(co_await b.submit_batch("q", batch));
      std::size_t taken = 0;
      co_await with_scope([&](scope& s) -> task<> {
        s.spawn(take_many_as, &v, &b, &taken);
        for (std::size_t i = 0; i < 20; ++i) s.spawn(submit_other, &b, i < 10 ? 3'000u : 1u);
        co_await s.join();
      });
      EXPECT_EQ((co_await take_all(b, many)).size(), taken == 0 ? many : 0);
    });
  });
}

/// Takes one message and runs `call` with its receipt as the victim, then again: the second says
/// what had become of the first.
template <class Call>
task<> cut_then_repeat(victim& v, broker& b, Call call) {
  const std::string receipt = (co_await take(b, "q")).at(0).receipt;
  bool is_told = false;
  co_await v.run([](broker* to, const std::string* of, bool* told, Call what) -> task<> {
    EXPECT_TRUE(co_await what(*to, *of));
    *told = true;
  }(&b, &receipt, &is_told, call));
  const bool is_first = co_await call(b, receipt);
  if (is_told) EXPECT_FALSE(is_first);
}

TEST(CancelledBroker, an_acknowledgement_has_ended_the_message_or_left_it_on_lease) {
  cancel_at_every_point([](victim& v) -> task<> {
    co_await with_queue([&](broker& b) -> task<> {
      const std::string id = co_await submit_text(b, "q", "x");
      co_await cut_then_repeat(v, b, [](broker& to, const std::string& receipt) -> task<bool> {
        co_return (co_await to.ack(receipt, "r", "text/plain")).has_value();
      });
      EXPECT_EQ((co_await b.message(id))->result, "r");
      EXPECT_EQ(b.queue("q")->totals.completed, 1u);
    });
  });
}

TEST(CancelledBroker, a_batch_of_acknowledgements_has_ended_some_and_left_others_on_lease) {
  cancel_at_every_point([](victim& v) -> task<> {
    co_await with_queue([&](broker& b) -> task<> {
      for (int i = 0; i < 3; ++i) co_await submit_text(b, "q", "x");
      const auto taken = co_await take(b, "q", 3);
      std::vector<lease_result> acks;
      for (const taken_message& one : taken) acks.push_back({.receipt = one.receipt});
      co_await v.run([](broker* to, const std::vector<lease_result>* all) -> task<> {
        for (const auto& one : co_await to->ack_batch(*all)) EXPECT_TRUE(one);
      }(&b, &acks));
      EXPECT_EQ(b.queue("q")->leased + b.queue("q")->totals.completed, 3u);
      for (const auto& one : co_await b.ack_batch(acks)) {
        EXPECT_TRUE(one || one.error() == broker_errc::stale_receipt);
      }
      EXPECT_EQ(b.queue("q")->totals.completed, 3u);
    });
  });
}

TEST(CancelledBroker, a_return_has_happened_once_or_not) {
  cancel_at_every_point([](victim& v) -> task<> {
    co_await with_queue([&](broker& b) -> task<> {
      co_await submit_text(b, "q", "x");
      co_await cut_then_repeat(v, b, [](broker& to, const std::string& receipt) -> task<bool> {
        co_return (co_await to.nack(receipt, duration(), "again")).has_value();
      });
      const auto taken = co_await take(b, "q", 5);
      EXPECT_EQ(taken.size(), 1u);
      EXPECT_EQ(taken.at(0).attempt, 2u);
    });
  });
}

TEST(CancelledBroker, a_rejection_has_made_one_dead_letter_or_none) {
  cancel_at_every_point([](victim& v) -> task<> {
    co_await with_queue([&](broker& b) -> task<> {
      co_await submit_text(b, "q", "x");
      co_await cut_then_repeat(v, b, [](broker& to, const std::string& receipt) -> task<bool> {
        co_return (co_await to.reject(receipt, "bad")).has_value();
      });
      EXPECT_EQ((co_await take(b, "q.dead", 5)).size(), 1u);
    });
  });
}

TEST(CancelledBroker, an_extension_has_moved_the_deadline_or_not_and_the_lease_stays) {
  cancel_at_every_point([](victim& v) -> task<> {
    co_await with_queue([&](broker& b) -> task<> {
      co_await submit_text(b, "q", "x");
      const auto taken = co_await b.lease("q", 1, duration(), 10_s);
      const std::string receipt = taken->at(0).receipt;
      bool is_told = false;
      co_await v.run([](broker* to, const std::string* of, bool* told) -> task<> {
        *told = (co_await to->extend(*of, 100_s)).has_value();
      }(&b, &receipt, &is_told));
      EXPECT_EQ(b.queue("q")->leased, 1u);
      if (is_told) co_await sleep(50_s);
      EXPECT_TRUE(co_await b.ack(receipt, "", ""));
    });
  });
}

TEST(CancelledBroker, a_redrive_has_moved_some_letters_and_left_the_others) {
  cancel_at_every_point([](victim& v) -> task<> {
    co_await with_queue([&](broker& b) -> task<> {
      for (int i = 0; i < 3; ++i) {
        co_await submit_text(b, "q", "x");
        co_await b.reject((co_await take(b, "q")).at(0).receipt, "bad");
      }
      std::uint64_t moved = 0;
      co_await v.run([](broker* to, std::uint64_t* count) -> task<> {
        *count = (co_await to->redrive("q"))->moved;
      }(&b, &moved));
      EXPECT_EQ(b.queue("q")->dead + b.queue("q")->ready, 3u);
      EXPECT_GE(b.queue("q")->ready, moved);
      EXPECT_TRUE(co_await b.redrive("q"));
      EXPECT_EQ((co_await take(b, "q", 5)).size(), 3u);
    });
  });
}

TEST(CancelledBroker, a_look_at_a_message_keeps_no_room_to_read) {
  cancel_at_every_point([](victim& v) -> task<> {
    broker_options options = tiny_broker();
    options.reading_bytes_max = 1;         // one reads at a time
    options.journal.recent_bytes_max = 0;  // from the disk
    co_await with_broker(options, [&](broker& b) -> task<> {
      co_await b.put_queue("q", {});
      const std::string id = co_await submit_text(b, "q", "x");
      co_await b.ack((co_await take(b, "q")).at(0).receipt, "result", "");
      co_await v.run([](broker* from, const std::string* of) -> task<> {
        EXPECT_EQ((co_await from->message(*of))->result, "result");
      }(&b, &id));
      EXPECT_EQ((co_await with_timeout(1_s, b.message(id)))->result, "result");
    });
  });
}

TEST(CancelledBroker, a_wait_for_an_end_takes_nothing_from_others_who_wait) {
  cancel_at_every_point([](victim& v) -> task<> {
    co_await with_queue([&](broker& b) -> task<> {
      const std::string id = co_await submit_text(b, "q", "x");
      const auto wait = [](broker* at, const std::string* of) -> task<> {
        EXPECT_EQ((co_await at->wait_ended(*of, 60_s))->result, "r");
      };
      co_await with_scope([&](scope& s) -> task<> {
        s.spawn(wait, &b, &id);
        s.spawn(
            [](broker* at) -> task<> {
              co_await sleep(1_ms);
              co_await at->ack((co_await take(*at, "q")).at(0).receipt, "r", "");
            },
            &b);
        co_await v.run(wait(&b, &id));
      });
      EXPECT_EQ((co_await b.wait_ended(id, 60_s))->result, "r");
      EXPECT_LT(testing::elapsed(), 1_s);
    });
  });
}

TEST(CancelledBroker, replies_that_nobody_got_are_due_again_at_once) {
  cancel_at_every_point([](victim& v) -> task<> {
    broker_options options = tiny_broker();
    options.journal.recent_bytes_max = 0;  // they are read from the disk
    co_await with_broker(options, [&](broker& b) -> task<> {
      co_await b.put_queue("q", {});
      for (const char* result : {"0", "1"}) {
        co_await b.submit("q", {.body = "x", .reply_to = "http://127.0.0.1/"});
        co_await b.ack((co_await take(b, "q")).at(0).receipt, result, "");
      }
      std::vector<due_reply> due;
      co_await v.run([](broker* from, std::vector<due_reply>* into) -> task<> {
        *into = co_await from->take_replies(10);
      }(&b, &due));
      while (due.size() < 2) {
        for (due_reply& one : co_await with_timeout(1_s, b.take_replies(10))) {
          due.push_back(std::move(one));
        }
      }
      EXPECT_EQ(due[0].result.size() + due[1].result.size(), 2u);
      EXPECT_NE(due[0].result, due[1].result);
    });
  });
}

TEST(CancelledBroker, a_second_look_at_a_reply_keeps_no_room) {
  cancel_at_every_point([](victim& v) -> task<> {
    broker_options options = tiny_broker();
    options.journal.recent_bytes_max = 0;
    options.replies_bytes_max = 1;  // one at a time
    co_await with_broker(options, [&](broker& b) -> task<> {
      co_await b.put_queue("q", {});
      co_await b.submit("q", {.body = "x", .reply_to = "http://127.0.0.1/"});
      co_await b.ack((co_await take(b, "q")).at(0).receipt, "r", "");
      const auto look = [](broker* at, std::uint64_t sequence, std::uint32_t token) -> task<> {
        const auto again = co_await at->read_reply(sequence, token);
        EXPECT_TRUE(again && again->result == "r");
      };
      auto due = co_await b.take_replies(1);
      const std::uint64_t sequence = due.at(0).sequence;
      const std::uint32_t token = due.at(0).token;
      due.clear();
      co_await v.run(look(&b, sequence, token));
      co_await with_timeout(1_s, look(&b, sequence, token));
    });
  });
}

TEST(CancelledBroker, a_settled_reply_is_settled_or_as_before) {
  cancel_at_every_point([](victim& v) -> task<> {
    co_await with_queue([&](broker& b) -> task<> {
      co_await b.submit("q", {.body = "x", .reply_to = "http://127.0.0.1/"});
      co_await b.ack((co_await take(b, "q")).at(0).receipt, "r", "");
      auto due = co_await b.take_replies(1);
      co_await v.run([](broker* to, const due_reply* of) -> task<> {
        co_await to->settle_reply(*of, reply_outcome::delivered, duration());
      }(&b, &due[0]));
      if (!v.was_cancelled()) EXPECT_EQ(b.queue("q")->totals.replies_delivered, 1u);
      co_await b.settle_reply(due[0], reply_outcome::delivered, duration());
      EXPECT_EQ(b.queue("q")->totals.replies_delivered, 1u);
    });
  });
}

TEST(CancelledBroker, a_wait_for_an_event_takes_none) {
  cancel_at_every_point([](victim& v) -> task<> {
    co_await with_queue([&](broker& b) -> task<> {
      const auto hears = std::move(b.subscribe_queue("q")).value();
      std::vector<std::string> got;
      std::vector<std::string> sent;
      co_await with_scope([&](scope& s) -> task<> {
        s.spawn(
            [](broker* to, std::vector<std::string>* ids) -> task<> {
              for (int i = 0; i < 3; ++i) ids->push_back(co_await submit_text(*to, "q", "x"));
            },
            &b, &sent);
        co_await v.run([](subscription* from, std::vector<std::string>* ids) -> task<> {
          while (ids->size() < 3) ids->push_back((co_await from->next()).id);
        }(hears.get(), &got));
      });
      while (got.size() < 3) got.push_back((co_await with_timeout(1_s, hears->next())).id);
      EXPECT_EQ(got, sent);
    });
  });
}

TEST(CancelledBroker, a_place_in_a_line_passes_its_turn_on) {
  cancel_at_every_point([](victim& v) -> task<> {
    waiting_line line;
    const auto stand = [](waiting_line* in) -> task<> {
      co_await yield();
      waiting_line::place place(*in);
      while (place.may_look()) co_await place.wait_turn(duration());  // nothing found
      EXPECT_TRUE(co_await place.wait_turn(5_s));
    };
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(
          [](waiting_line* in) -> task<> {
            co_await sleep(1_ms);
            in->wake();
          },
          &line);
      s.spawn(stand, &line);
      co_await v.run(stand(&line));
    });
    EXPECT_EQ(line.size(), 0u);
    EXPECT_LT(testing::elapsed(), 1_s);
  });
}

}  // namespace
}  // namespace weir::cancelled_calls_test
