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
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace weir {

namespace {

constexpr duration look_interval = duration::milliseconds(200);
// The server answers when all are moved and durable; a million take about ten seconds.
constexpr duration redrive_patience = duration::seconds(3'600);

struct redrive_settings {
  caller_options client;
  std::string queue;
};

/// What GET tells of the queue.
struct look {
  std::uint64_t dead = 0;
  bool keeps_letters = true;  // it has a dead-letter queue
};

task<look> look_at(const server_caller& caller, std::string path) {
  const api_call call{.path = std::move(path)};
  const api_reply reply = co_await caller.call(call);
  look seen;
  read_answer(reply, [&seen](std::string_view json) {
    const boost::json::value queue = boost::json::parse(boost::json::string_view(json));
    seen.dead = queue.at("counts").at("dead").to_number<std::uint64_t>();
    seen.keeps_letters = !queue.at("settings").at("dead_letter").as_string().empty();
  });
  co_return seen;
}

/// Shows how many dead letters are left, until it is cancelled.
task<> watch_dead(const server_caller* caller, std::string path, progress_bar* bar) {
  std::uint64_t total = 0;
  for (;; co_await sleep(look_interval)) {
    std::optional<look> seen;
    try {
      const result<look> got = co_await as_result(look_at(*caller, path));
      if (got) seen = *got;
    } catch (const command_failure&) {
      seen.reset();
    }
    if (!seen) continue;  // the redrive goes on, whatever a look at it meets
    total = std::max(total, seen->dead);
    bar->progressed(total - seen->dead, total);
  }
}

/// What the server answered, and a look at the queue after it; nothing when it has gone meanwhile.
struct redrive_outcome {
  api_reply reply;
  std::optional<look> after;
};

task<redrive_outcome> redrive(const redrive_settings& given) {
  const server_caller caller(given.client);
  const std::string path = fmt::format("/v1/queues/{}", encoded(given.queue));
  const api_call call{.method = "POST", .path = path + "/redrive", .patience = redrive_patience};
  progress_bar bar("moving back", progress_unit::messages);
  redrive_outcome done;
  done.reply = co_await with_scope([&](scope& both) -> task<api_reply> {
    both.spawn(watch_dead, &caller, path, &bar);
    api_reply reply = co_await caller.call(call);
    both.cancel("all are moved");
    co_return reply;
  });
  try {
    done.after = co_await look_at(caller, path);
  } catch (const command_failure&) {
    done.after.reset();  // the queue was deleted: what was moved is told all the same
  }
  co_return done;
}

std::string text_of(const redrive_outcome& done) {
  const boost::json::value told = boost::json::parse(done.reply.body);
  const auto number = [&](std::string_view name) {
    return told.at(name).to_number<std::uint64_t>();
  };
  const std::uint64_t left = number("left");
  std::string text = fmt::format("{} messages moved back", number("moved"));
  if (left != 0) {
    const std::uint64_t leased = number("leased");
    const std::uint64_t no_room = number("no_room");
    const std::uint64_t no_queue = number("no_queue");
    const std::uint64_t ended = number("ended");
    const std::uint64_t others = left - leased - no_room - no_queue - ended;
    fmt::format_to(std::back_inserter(text), ", {} left:", left);
    std::string_view comma = "";
    const auto add = [&](std::uint64_t count, std::string_view why) {
      if (count == 0) return;
      fmt::format_to(std::back_inserter(text), "{} {} {}", comma, count, why);
      comma = ",";
    };
    add(no_room, "without room in the queue");
    add(leased, "on lease");
    add(no_queue, "whose queue is gone");
    add(ended, "ended as dead: their queue kept no dead letters (its dead_letter was empty)");
    add(others, "in another queue of dead letters (redrive that one), or dead since");
  } else if (done.after && !done.after->keeps_letters) {
    text += ": the queue keeps no dead letters (its dead_letter is empty)";
  }
  return text + "\n";
}

}  // namespace

void add_redrive_command(command_syntax app, command_choice& choice) {
  const command_syntax command =
      app.subcommand("redrive", "Move a queue's dead letters back, with their attempts at 0");
  const auto given = std::make_shared<redrive_settings>();
  given->client.add_to(command);
  command.option("queue", given->queue, "The queue in which the messages died").required();
  command.when_chosen([&choice, given] {
    choice.run = [given] {
      const redrive_outcome done = run_here(redrive(*given));
      std::string text;
      read_answer(done.reply, [&](std::string_view) { text = text_of(done); });
      print(given->client.json ? done.reply.body : text);
      return exit_code::ok;
    };
  });
}

}  // namespace weir
