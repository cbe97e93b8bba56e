#include <weir/apps/api_client.hpp>
#include <weir/apps/trial.hpp>
#include <weir/core/cleanup.hpp>
#include <weir/core/loop.hpp>
#include <weir/core/with_scope.hpp>

#include <boost/json/parse.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace weir {

namespace {

constexpr std::string_view settings =
    R"({"capacity":{"messages":100000000,"bytes":1099511627776},"ttl":"10m","result_ttl":"0s"})";
constexpr int lease_max = 16;

struct plan_of_phase {
  const server_caller* caller;
  std::string path;  // of the queue
  std::string body;
  time_point end;
};

task<> submit_one(const plan_of_phase& plan, trial_row& row) {
  const api_call call{.method = "POST", .path = plan.path + "/messages", .body = plan.body};
  const time_point before = trial_now();
  co_await plan.caller->call(call);
  row.latencies.add(trial_now() - before);
  ++row.count;
}

task<> submit_until(const plan_of_phase* plan, trial_row* row) {
  while (trial_now() < plan->end) co_await submit_one(*plan, *row);
}

/// Takes what is there and acknowledges it, message by message; the time is that of an
/// acknowledgement.
task<> work_until(const plan_of_phase* plan, trial_row* row) {
  const api_call take{.method = "POST",
                      .path = fmt::format("{}/leases?max={}&wait=100ms", plan->path, lease_max)};
  while (trial_now() < plan->end) {
    const api_reply taken = co_await plan->caller->call(take);
    std::vector<std::string> receipts;
    read_answer(taken, [&receipts](std::string_view json) {
      const boost::json::value answer = boost::json::parse(boost::json::string_view(json));
      for (const boost::json::value& one : answer.at("messages").as_array()) {
        receipts.emplace_back(std::string_view(one.at("receipt").as_string()));
      }
    });
    for (const std::string& receipt : receipts) {
      const api_call ack{.method = "POST", .path = fmt::format("/v1/leases/{}/ack", receipt)};
      const time_point before = trial_now();
      co_await plan->caller->call(ack);
      row->latencies.add(trial_now() - before);
      ++row->count;
    }
  }
}

task<> make_queue(const server_caller* caller, std::string path) {
  co_await caller->call({.method = "PUT", .path = std::move(path), .body = settings});
}

using phase_worker = task<> (*)(const plan_of_phase*, trial_row*);

/// `row` is filled by `count` tasks; `others` run beside them, uncounted, when given.
task<trial_row> run_phase(std::string name, plan_of_phase plan, duration length, phase_worker what,
                          std::uint32_t count, phase_worker beside) {
  trial_row row{.name = std::move(name), .spent = {}, .latencies = {}};
  trial_row ignored;
  const time_point begun = trial_now();
  plan.end = begun + length;
  co_await with_scope({.name = "clients"}, [&](scope& all) -> task<> {
    for (std::uint32_t i = 0; i < count; ++i) {
      all.spawn(what, &plan, &row);
      if (beside != nullptr) all.spawn(beside, &plan, &ignored);
    }
    co_return;
  });
  co_await checkpoint();  // the figures of a phase that was cut short are none
  row.spent = trial_now() - begun;
  co_return row;
}

}  // namespace

task<std::vector<trial_row>> run_server_trial(const server_caller& caller, server_trial plan) {
  const std::string path =
      fmt::format("/v1/queues/weir-bench-{:016x}", loop::current()->io().random());
  const plan_of_phase phase{
      .caller = &caller, .path = path, .body = std::string(plan.message_bytes, 'x'), .end = {}};
  co_return co_await with_cleanups([&](cleanups& after) -> task<std::vector<trial_row>> {
    co_await shield(make_queue(&caller, path));
    after.defer_async([&]() -> task<> { co_await caller.call({.method = "DELETE", .path = path}); },
                      {.deadline = cleanup_time, .name = "delete the queue"});
    std::vector<trial_row> rows;
    const std::uint32_t half = std::max(plan.connections / 2, 1u);
    rows.push_back(
        co_await run_phase("submit, one at a time", phase, plan.phase, submit_until, 1, nullptr));
    rows.push_back(co_await run_phase(fmt::format("submit, {} at once", plan.connections), phase,
                                      plan.phase, submit_until, plan.connections, nullptr));
    rows.push_back(
        co_await run_phase(fmt::format("acknowledge, {} workers beside {} producers", half, half),
                           phase, plan.phase, work_until, half, submit_until));
    co_return rows;
  });
}

}  // namespace weir
