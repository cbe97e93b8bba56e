// weir queues
#include <weir/apps/api_client.hpp>
#include <weir/apps/command.hpp>
#include <weir/apps/table_text.hpp>

#include <boost/json/parse.hpp>
#include <fmt/format.h>

#include <memory>

namespace weir {

namespace {

std::string count_of(const boost::json::value& counts, std::string_view name) {
  return std::to_string(counts.at(name).to_number<std::uint64_t>());
}

std::string rate_of(const boost::json::value& rates, std::string_view name) {
  return fmt::format("{:.1f}", rates.at(name).to_number<double>());
}

std::string table_of(std::string_view json) {
  using enum column_align;
  table_text table({{"QUEUE"},
                    {"READY", right},
                    {"DELAYED", right},
                    {"LEASED", right},
                    {"DONE", right},
                    {"DEAD", right},
                    {"EXPIRED", right},
                    {"BYTES", right},
                    {"OLDEST", right},
                    {"IN/S", right},
                    {"DONE/S", right},
                    {"FAILED/S", right}});
  const boost::json::value answer = boost::json::parse(boost::json::string_view(json));
  for (const boost::json::value& queue : answer.at("queues").as_array()) {
    const boost::json::value& counts = queue.at("counts");
    const boost::json::value& rates = queue.at("rates");
    const boost::json::value& oldest = queue.at("oldest_age");
    table.add({std::string(std::string_view(queue.at("name").as_string())),
               count_of(counts, "ready"), count_of(counts, "delayed"), count_of(counts, "leased"),
               count_of(counts, "done"), count_of(counts, "dead"), count_of(counts, "expired"),
               format_bytes(counts.at("bytes").to_number<std::uint64_t>()),
               oldest.is_string() ? std::string(std::string_view(oldest.get_string())) : "-",
               rate_of(rates, "submitted"), rate_of(rates, "completed"), rate_of(rates, "failed")});
  }
  return table.text();
}

}  // namespace

void add_queues_command(command_syntax app, command_choice& choice) {
  const command_syntax command =
      app.subcommand("queues", "List the queues with their counts and rates");
  const auto options = std::make_shared<caller_options>();
  options->add_to(command);
  command.when_chosen([&choice, options] {
    choice.run = [options] {
      const api_reply reply = call_server(*options, {.path = "/v1/queues"});
      std::string table;
      read_answer(reply, [&table](std::string_view json) { table = table_of(json); });
      print(options->json ? reply.body : table);
      return exit_code::ok;
    };
  });
}

}  // namespace weir
