#include <weir/core/local.hpp>

#include <weir/core.hpp>
#include <weir/testing/test.hpp>

#include <stdexcept>
#include <string>

namespace weir::local_test {
namespace {

using namespace weir::literals;

constinit const local<std::string> trace_id{"trace_id"};
constinit const local<int> tenant{"tenant"};

std::string trace() { return trace_id.get() ? *trace_id.get() : "none"; }
task<std::string> trace_later() {
  co_await sleep(1_ms);
  co_return trace();
}

TEST(Local, has_no_value_outside_of_tasks) { EXPECT_FALSE(trace_id.get()); }

WEIR_TEST("a value is seen by what runs in its scope, across waits, and by nobody else") {
  EXPECT_EQ(trace(), "none");
  EXPECT_EQ(co_await with_local(trace_id, "a", trace_later()), "a");
  EXPECT_EQ(trace(), "none");
  auto [one, other, neither] =
      co_await when_all(with_local(trace_id, "a", trace_later()),
                        with_local(trace_id, "b", trace_later()), trace_later());
  EXPECT_EQ(one + other + neither, "abnone");
}

WEIR_TEST("the innermost value counts, and different names don't meet") {
  co_await with_local(trace_id, "outer", []() -> task<> {
    co_await with_local(tenant, 7, []() -> task<> {
      EXPECT_EQ(trace(), "outer");
      EXPECT_EQ(*tenant.get(), 7);
      EXPECT_EQ(co_await with_local(trace_id, "inner", trace_later()), "inner");
      EXPECT_EQ(trace(), "outer");
    }());
    EXPECT_FALSE(tenant.get());
  }());
}

WEIR_TEST("a child has the values of the scope that it was spawned into, not of its spawner") {
  co_await with_local(trace_id, "nursery", []() -> task<> {
    co_await with_scope([](scope& s) -> task<> {
      co_await with_local(trace_id, "spawner", [](scope* into) -> task<> {
        into->spawn([]() -> task<> { EXPECT_EQ(co_await trace_later(), "nursery"); });
        EXPECT_EQ(trace(), "spawner");
        co_return;
      }(&s));
      co_await s.join();
    });
  }());
}

WEIR_TEST("a child that moves into another scope leaves the values of the old one behind") {
  co_await with_local(trace_id, "services", []() -> task<> {
    co_await with_scope([](scope& services) -> task<> {
      const auto serve = [](readiness<int>& ready) -> task<> {
        EXPECT_EQ(trace(), "starter");
        co_await with_local(tenant, 3, [](readiness<int>* word) -> task<> {
          (*word)(1);
          EXPECT_EQ(co_await trace_later(), "services");
          EXPECT_EQ(*tenant.get(), 3) << "its own scopes move with it";
        }(&ready));
      };
      co_await with_local(trace_id, "starter", start<int>(services, serve));
    });
  }());
}

WEIR_TEST("errors and cancellations pass through as they are") {
  const auto fail = []() -> task<> {
    throw std::logic_error("a bug");
    co_return;
  };
  try {
    co_await with_local(tenant, 1, fail());
    ADD_FAILURE() << "nothing was thrown";
  } catch (const std::logic_error& e) {
    EXPECT_STREQ(e.what(), "a bug");
  }
  co_await testing::expect_raises<errc::timed_out>(
      with_timeout(1_ms, with_local(tenant, 1, []() -> task<> { co_await sleep(1_h); }())));
}

}  // namespace
}  // namespace weir::local_test
