// weir serve
#include <weir/apps/command.hpp>
#include <weir/apps/progress_bar.hpp>
#include <weir/apps/run_here.hpp>
#include <weir/base/log.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/io/descriptor_limit.hpp>
#include <weir/io/signals.hpp>
#include <weir/serve/server_life.hpp>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <csignal>
#include <memory>
#include <optional>
#include <utility>

namespace weir {

namespace {

constexpr std::size_t file_bytes_max = 1u << 20;

struct settings {
  std::optional<std::string> data;
  std::optional<std::string> listen;
  std::optional<std::string> token_file;
  std::string config;
  bool accept_loss = false;
};

server_setup setup_of(const settings& given) {
  server_config config;
  if (!given.config.empty()) {
    answer<server_config> read = read_config(read_file(given.config, file_bytes_max), config);
    if (!read) {
      throw command_failure{exit_code::usage,
                            fmt::format("{}: {}", given.config, read.error().detail)};
    }
    config = std::move(*read);
  }
  if (given.data) config.data = *given.data;
  if (given.listen) config.listen = *given.listen;
  if (given.token_file) config.token_file = *given.token_file;
  config.accept_loss = given.accept_loss;
  std::optional<std::string> tokens;
  if (!config.token_file.empty()) tokens = read_file(config.token_file, file_bytes_max);
  result<server_setup> setup = check_setup(config, tokens);
  if (!setup) throw command_failure{exit_code::usage, std::string(setup.error().message())};
  return std::move(*setup);
}

/// Connections must leave descriptors for the files of the journal and for calls to workers.
void fit_connections(server_config& config) {
  constexpr std::uint64_t kept = 512;
  const std::uint64_t limit = raise_descriptor_limit();
  const std::uint64_t most = limit > 2 * kept ? limit - kept : limit / 2;
  if (config.connections_max <= most) return;
  log::warn(
      "fewer connections than configured: the system allows too few descriptors",
      {{"connections", most}, {"configured", config.connections_max}, {"descriptors", limit}});
  config.connections_max = static_cast<std::uint32_t>(most);
}

/// Tells the user where the server is.
class greeter final : public server_observer {
 public:
  explicit greeter(const server_setup& setup) : setup_(setup) {}
  progress_listener* recovery() override { return &bar_; }
  void listening(const address& at) override {
    bar_.end();
    print(greeting(setup_, at, loop::current()->io().name()));
  }

 private:
  server_setup setup_;
  progress_bar bar_{"opening", progress_unit::bytes};
};

task<> stop_at(int signal_number, event* stop) {
  co_await wait_signal(signal_number);
  stop->set();
}

task<int> serve(server_setup setup) {
  event stop;
  greeter tell(setup);
  co_await with_scope({.name = "process"}, [&](scope& process) -> task<> {
    process.spawn(stop_at, SIGTERM, &stop);
    process.spawn(stop_at, SIGINT, &stop);
    co_await run_server(std::move(setup), stop, tell);
    process.cancel("the server has ended");
  });
  co_return 0;
}

}  // namespace

void add_serve_command(CLI::App& app, command_choice& choice) {
  CLI::App* command = app.add_subcommand("serve", "Run the server");
  command->footer(
      "SIGTERM and SIGINT end it in order: what is in flight is answered (10 s at most), what was\n"
      "confirmed is on disk, and the exit code is 0.");
  const auto given = std::make_shared<settings>();
  command->add_option("--data", given->data, "The data folder (default weir-data)")
      ->type_name("DIR");
  command
      ->add_option("--listen", given->listen,
                   "Where to listen (default 127.0.0.1:8420); port 0 lets the system choose")
      ->type_name("ADDR");
  command
      ->add_option("--token-file", given->token_file,
                   "Secrets of clients, one a line; needed when others can reach the address")
      ->type_name("FILE");
  command->add_option("--config", given->config, "Settings as a JSON object; options win")
      ->type_name("FILE");
  command->add_flag("--accept-loss", given->accept_loss,
                    "Open a damaged data folder without what is lost (see `weir check DIR` first)");
  command->callback([&choice, given] {
    choice.run = [given] {
      server_setup setup = setup_of(*given);
      fit_connections(setup.config);
      run_here(serve(std::move(setup)));
      return exit_code::ok;
    };
  });
}

}  // namespace weir
