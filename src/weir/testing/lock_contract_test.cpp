// The contracts of locks and semaphores: over one written as a user would, and over wrong ones.
// flow/mutex_test.cpp and its neighbours run them over weir's own.
#include <weir/testing/contracts/lock_contract.hpp>

#include <weir/base/defect.hpp>
#include <weir/core.hpp>
#include <weir/flow/event.hpp>
#include <weir/flow/mutex.hpp>
#include <weir/flow/semaphore.hpp>
#include <weir/flow/shared_mutex.hpp>
#include <weir/testing/contracts/semaphore_contract.hpp>
#include <weir/testing/contracts/shared_lock_contract.hpp>
#include <weir/testing/internal/caught_failures.hpp>

#include <deque>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

namespace weir::lock_contract_test {
namespace {

// What may be wrong with a lock.
enum class fault : std::uint8_t {
  none,
  lets_all_in,
  never_wakes,
  wakes_one,
  keeps_on_error,
  lets_go_twice,
  stays_in_line,
  leaves_silently,
  takes_before_it_waits,
  newest_first,
  overtakes,
  hands_nothing_over,
  readers_overtake,
  readers_alone,
  tries_always_succeed,
};
fault planted = fault::none;

// A semaphore of a user's own, which is a lock for who takes all, and one for readers who take one:
// a line of tickets, each with an event.
class turnstile {
 public:
  class permit {
   public:
    permit(turnstile* of, int count) : of_(of), count_(count) {}
    permit(permit&& other) noexcept : of_(other.of_), count_(other.count_) {
      if (planted != fault::lets_go_twice) other.of_ = nullptr;
    }
    permit& operator=(permit&&) = delete;
    ~permit() {
      const bool keeps = planted == fault::keeps_on_error && std::uncaught_exceptions() != 0;
      if (of_ && !keeps) of_->give_back(count_);
    }

   private:
    turnstile* of_;
    int count_;
  };

  explicit turnstile(int total) : total_(total), free_(total) {}
  turnstile(const turnstile&) = delete;
  turnstile& operator=(const turnstile&) = delete;
  ~turnstile() = default;

  task<permit> acquire(std::size_t wanted) {
    const int count = static_cast<int>(wanted);
    if (may_enter(count)) {
      free_ -= count;
      if (planted == fault::takes_before_it_waits) co_await yield();
    } else {
      for (bool is_in = false; !is_in;) {
        place here(this, std::make_shared<ticket>(count));
        co_await here.mine->called.wait();
        here.has_entered = true;
        is_in = planted != fault::hands_nothing_over || count <= free_;
      }
      if (planted == fault::hands_nothing_over) free_ -= count;
    }
    co_return permit(this, count);
  }
  std::optional<permit> try_acquire(std::size_t wanted) {
    const int count = static_cast<int>(wanted);
    if (!may_enter(count) && planted != fault::tries_always_succeed) return std::nullopt;
    free_ -= count;
    return permit(this, count);
  }
  WEIR_CORO_WRAPPER task<permit> lock() { return acquire(static_cast<std::size_t>(total_)); }
  WEIR_CORO_WRAPPER task<permit> lock_shared() {
    return acquire(planted == fault::readers_alone ? static_cast<std::size_t>(total_) : 1);
  }
  std::optional<permit> try_lock() { return try_acquire(static_cast<std::size_t>(total_)); }
  std::optional<permit> try_lock_shared() { return try_acquire(1); }

 private:
  struct ticket {
    int count;
    bool is_called = false;
    event called{"called"};
    explicit ticket(int wanted) : count(wanted) {}
  };
  // In line, until the wait ends in whatever way.
  struct place {
    turnstile* of;
    std::shared_ptr<ticket> mine;
    bool has_entered = false;

    place(turnstile* on, std::shared_ptr<ticket> one) : of(on), mine(std::move(one)) {
      if (planted == fault::newest_first) {
        of->line_.push_front(mine);
      } else {
        of->line_.push_back(mine);
      }
    }
    place(const place&) = delete;
    place& operator=(const place&) = delete;
    ~place() {
      if (has_entered || planted == fault::stays_in_line) return;
      if (mine->is_called) {
        of->give_back(planted == fault::hands_nothing_over ? 0 : mine->count);
        return;
      }
      std::erase(of->line_, mine);
      if (planted != fault::leaves_silently) of->serve();
    }
  };

  bool may_enter(int count) const {
    if (planted == fault::lets_all_in) return true;
    const bool may_overtake =
        planted == fault::overtakes || (planted == fault::readers_overtake && count < total_);
    return count <= free_ && (line_.empty() || may_overtake);
  }
  void give_back(int count) {
    free_ += count;
    if (planted != fault::never_wakes) serve();
  }
  void serve() {
    while (!line_.empty() && line_.front()->count <= free_) {
      const std::shared_ptr<ticket> next = line_.front();
      line_.pop_front();
      next->is_called = true;
      next->called.set();
      if (planted == fault::hands_nothing_over) return;
      free_ -= next->count;
      if (planted == fault::wakes_one) return;
    }
  }

  int total_;
  int free_;
  std::deque<std::shared_ptr<ticket>> line_;
};

struct my_locks {
  static auto make() { return turnstile(1); }
};
struct my_unfair_locks : my_locks {
  static constexpr bool is_fair = false;
};
struct my_shared_locks {
  static auto make() { return turnstile(8); }
};
struct my_semaphores {
  static auto make(std::size_t permits) { return turnstile(static_cast<int>(permits)); }
};
WEIR_LOCK_CONTRACT(my_locks);
WEIR_SHARED_LOCK_CONTRACT(my_shared_locks);
WEIR_SEMAPHORE_CONTRACT(my_semaphores);

using of_locks = testing::lock_contract<my_locks>;
using of_shared_locks = testing::shared_lock_contract<my_shared_locks>;
using of_semaphores = testing::semaphore_contract<my_semaphores>;

// The rules that a lock with this fault breaks, one to a line.
template <class Contract>
std::string broken(fault one) {
  planted = one;
  std::string all;
  for (const std::string& rule : testing::broken_rules(Contract::rules())) all += rule + "\n";
  planted = fault::none;
  return all;
}

struct finding {
  fault planted;
  const char* rule;
};
template <class Contract>
void expect_found(std::span<const finding> all) {
  for (const finding& one : all) {
    EXPECT_NE(broken<Contract>(one.planted).find(one.rule), std::string::npos) << one.rule;
  }
}

TEST(LockContract, finds_what_is_wrong_with_a_lock) {
  constexpr finding all[] = {
      {fault::lets_all_in, "one task at a time is inside"},
      {fault::never_wakes, "a task waits while another is inside, and no longer"},
      {fault::lets_go_twice, "a guard that is handed on lets go once"},
      {fault::stays_in_line, "a wait that timed out holds nothing"},
      {fault::stays_in_line, "a wait cancelled at any point holds nothing and loses nothing"},
      {fault::tries_always_succeed, "a try takes what is free and never waits"},
  };
  expect_found<of_locks>(all);
}
TEST(LockContract, finds_a_lock_that_is_kept_after_an_error_by_that_rule_alone) {
  EXPECT_EQ(broken<of_locks>(fault::keeps_on_error),
            "a task that fails or is cancelled inside lets go\n");
}
TEST(LockContract, finds_a_cancelled_wait_that_had_the_lock_by_that_rule_alone) {
  EXPECT_EQ(broken<of_locks>(fault::takes_before_it_waits),
            "a wait cancelled at any point holds nothing and loses nothing\n");
}
TEST(LockContract, finds_another_order_and_asks_for_none_of_a_lock_that_promises_none) {
  EXPECT_EQ(broken<of_locks>(fault::newest_first),
            "tasks get in in the order in which they came\n");
  EXPECT_EQ(broken<of_locks>(fault::hands_nothing_over),
            "who lets go and asks again does not overtake who waits\n");
  using unfair = testing::lock_contract<my_unfair_locks>;
  EXPECT_EQ(broken<unfair>(fault::newest_first), "");
  EXPECT_EQ(broken<unfair>(fault::hands_nothing_over), "");
}

// weir's own, with a defect planted.
struct mutexes {
  static auto make() { return mutex(); }
};
struct shared_mutexes {
  static auto make() { return shared_mutex(); }
};
struct semaphores {
  static auto make(std::size_t permits) { return semaphore(permits); }
};
template <class Contract>
std::string broken_with(const char* defect) {
  const planted_defect wrong(defect);
  return broken<Contract>(fault::none);
}
TEST(LockContract, finds_defects_that_are_planted_in_weir) {
  if (!defects_can_be_planted) GTEST_SKIP() << "defects are planted in the dev preset";
  using of_mutexes = testing::lock_contract<mutexes>;
  using of_shared_mutexes = testing::shared_lock_contract<shared_mutexes>;
  using of_weirs_semaphores = testing::semaphore_contract<semaphores>;
  EXPECT_EQ(broken_with<of_mutexes>("flow: a mutex goes to who came last"),
            "tasks get in in the order in which they came\n");
  EXPECT_NE(broken_with<of_mutexes>("flow: a mutex is open while it is handed over")
                .find("one task at a time is inside"),
            std::string::npos);
  EXPECT_EQ(broken_with<of_shared_mutexes>("flow: readers overtake a writer in line"),
            "readers do not overtake a writer, nor writers a reader\n");
  EXPECT_EQ(broken_with<of_weirs_semaphores>(
                "flow: who leaves the line of a semaphore holds up those behind"),
            "when a wait for many gives up, those behind it are looked at\n");
  EXPECT_EQ(broken_with<of_weirs_semaphores>("flow: several permits that come back wake one task"),
            "permits that come back at once let several in\n");
}

// A lock whose third question finds it held for good, since the second has got no answer.
struct forgetful {
  semaphore of{1};
  int questions = 0;
  auto lock() { return of.acquire(++questions == 3 ? 2 : 1); }
};
struct forgetful_locks {
  static auto make() { return forgetful(); }
};
TEST(LockContract, finds_a_lock_that_a_lost_select_has_spoiled) {
  EXPECT_NE(broken<testing::lock_contract<forgetful_locks>>(fault::none)
                .find("a wait that lost a select holds nothing"),
            std::string::npos);
}

TEST(SharedLockContract, finds_what_is_wrong_with_a_lock_for_readers) {
  constexpr finding all[] = {
      {fault::lets_all_in, "a writer is alone"},
      {fault::readers_alone, "readers are inside together"},
      {fault::tries_always_succeed, "a reader's try takes what is free"},
      {fault::takes_before_it_waits, "readers and writers cancelled at any point hold nothing"},
  };
  expect_found<of_shared_locks>(all);
}
TEST(SharedLockContract, finds_readers_that_a_writer_leaves_behind_by_that_rule_alone) {
  EXPECT_EQ(broken<of_shared_locks>(fault::leaves_silently),
            "a writer that gives up lets the readers behind it in\n");
}
TEST(SharedLockContract, finds_readers_that_overtake_by_that_rule_alone) {
  EXPECT_EQ(broken<of_shared_locks>(fault::readers_overtake),
            "readers do not overtake a writer, nor writers a reader\n");
}

TEST(SemaphoreContract, finds_what_is_wrong_with_a_semaphore) {
  constexpr finding all[] = {
      {fault::lets_all_in, "as many permits are out as there are, and never more"},
      {fault::leaves_silently, "when a wait for many gives up, those behind it are looked at"},
      {fault::overtakes, "a wait for many is not overtaken by waits for few"},
      {fault::tries_always_succeed, "a try takes all that it asks for or nothing"},
      {fault::takes_before_it_waits, "a wait for several cancelled at any point keeps none"},
      {fault::stays_in_line, "a wait that timed out holds nothing"},
  };
  expect_found<of_semaphores>(all);
}
TEST(SemaphoreContract, finds_permits_that_let_in_too_few_by_that_rule_alone) {
  EXPECT_EQ(broken<of_semaphores>(fault::wakes_one),
            "permits that come back at once let several in\n");
}

}  // namespace
}  // namespace weir::lock_contract_test
