// weir redrive QUEUE
#include <weir/apps/api_client.hpp>
#include <weir/apps/command.hpp>
#include <weir/apps/progress_bar.hpp>
#include <weir/apps/run_here.hpp>
#include <weir/core/as_result.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>

#include <boost/json/parse.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>

namespace weir {

namespace {

constexpr duration look_interval = duration::milliseconds(200);
// The server answers when all are moved and durable; a million take about ten seconds.
constexpr duration redrive_patience = duration::seconds(3'600);

struct settings {
  client_options client;
  std::string queue;
};

task<std::uint64_t> count_dead(const server_caller& caller, std::string path) {
  const api_call call{.path = std::move(path)};
  const api_reply reply = co_await caller.call(call);
  co_return boost::json::parse(reply.body).at("counts").at("dead").to_number<std::uint64_t>();
}

/// Shows how many dead letters are left, until it is cancelled.
task<> watch_dead(const server_caller* caller, std::string path, progress_bar* bar) {
  std::uint64_t total = 0;
  for (;; co_await sleep(look_interval)) {
    const result<std::uint64_t> left = co_await as_result(count_dead(*caller, path));
    if (!left) continue;  // the redrive goes on, whatever a look at it meets
    total = std::max(total, *left);
    bar->progressed(total - *left, total);
  }
}

/// What the server answered, and how many dead letters there are after it; nothing when the queue
/// has gone meanwhile.
struct redriven {
  api_reply reply;
  std::optional<std::uint64_t> left;
};

task<redriven> redrive(const settings& given) {
  const server_caller caller(given.client);
  const std::string path = fmt::format("/v1/queues/{}", encoded(given.queue));
  const api_call call{.method = "POST", .path = path + "/redrive", .patience = redrive_patience};
  progress_bar bar("moving back", progress_unit::messages);
  redriven done;
  done.reply = co_await with_scope([&](scope& both) -> task<api_reply> {
    both.spawn(watch_dead, &caller, path, &bar);
    api_reply reply = co_await caller.call(call);
    both.cancel("all are moved");
    co_return reply;
  });
  try {
    done.left = co_await count_dead(caller, path);
  } catch (const command_failure&) {
    done.left.reset();  // the queue was deleted: what was moved is told all the same
  }
  co_return done;
}

std::string text_of(std::uint64_t moved, std::optional<std::uint64_t> left) {
  if (!left || *left == 0) return fmt::format("{} messages moved back\n", moved);
  return fmt::format("{} messages moved back, {} left: is there room in the queue?\n", moved,
                     *left);
}

}  // namespace

void add_redrive_command(command_syntax app, command_choice& choice) {
  const command_syntax command =
      app.subcommand("redrive", "Move a queue's dead letters back, with their attempts at 0");
  const auto given = std::make_shared<settings>();
  given->client.add_to(command);
  command.option("queue", given->queue, "The queue in which the messages died").required();
  command.when_chosen([&choice, given] {
    choice.run = [given] {
      const redriven done = run_here(redrive(*given));
      const std::string& body = done.reply.body;
      const auto moved = boost::json::parse(body).at("moved").to_number<std::uint64_t>();
      print(given->client.json ? body : text_of(moved, done.left));
      return exit_code::ok;
    };
  });
}

}  // namespace weir
