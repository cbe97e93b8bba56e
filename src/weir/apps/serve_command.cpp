// weir serve
#include <weir/apps/command.hpp>
#include <weir/apps/file_guard.hpp>
#include <weir/apps/log_outlet.hpp>
#include <weir/apps/progress_bar.hpp>
#include <weir/apps/run_here.hpp>
#include <weir/base/log.hpp>
#include <weir/base/text.hpp>
#include <weir/core/memory_pause.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/io/blocking.hpp>
#include <weir/io/descriptor_limit.hpp>
#include <weir/io/signals.hpp>
#include <weir/serve/server_life.hpp>

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

namespace weir {

namespace {

constexpr std::size_t file_bytes_max = 1u << 20;

struct serve_settings {
  std::optional<std::string> data;
  std::optional<std::string> listen;
  std::optional<std::string> token_file;
  std::optional<std::string> tls_cert;
  std::optional<std::string> tls_key;
  std::optional<std::string> tls_client_ca;
  std::string config;
  bool accept_loss = false;
};

server_files read_files(const server_config& config) {
  const auto read = [](const std::string& path) {
    return path.empty() ? std::nullopt : std::optional(read_file(path, file_bytes_max));
  };
  return {.tokens = read(config.token_file),
          .tls_cert = read(config.tls_cert),
          .tls_key = read(config.tls_key),
          .tls_client_ca = read(config.tls_client_ca),
          .calls_ca = read(config.calls.ca)};
}

/// Things that work and are dangerous.
void warn_of_danger(const server_setup& setup) {
  const server_config& config = setup.config;
  for (const std::string& secret : {config.token_file, config.tls_key}) {
    if (const std::string advice = loose_file_advice(secret); !advice.empty()) {
      log::warn("a secret can be read by other users of this machine",
                {{"file", secret}, {"do", advice}});
    }
  }
  if (const std::string advice = loose_folder_advice(config.data); !advice.empty()) {
    log::warn("messages can be read by other users of this machine",
              {{"folder", config.data}, {"do", advice}});
  }
  if (!setup.listen.is_loopback() && !setup.secrets->tls()) {
    log::warn("tokens and messages cross the network in clear text",
              {{"listen", config.listen},
               {"do", "give --tls-cert and --tls-key, or put a proxy with TLS in front"}});
  }
}

server_setup setup_of(const serve_settings& given) {
  server_config config;
  if (!given.config.empty()) {
    std::error_code failure;
    if (std::filesystem::is_fifo(given.config, failure)) {
      log::info("the config file is a pipe: reading until its writer closes it",
                {{"file", given.config}});
    }
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
  if (given.tls_cert) config.tls_cert = *given.tls_cert;
  if (given.tls_key) config.tls_key = *given.tls_key;
  if (given.tls_client_ca) config.tls_client_ca = *given.tls_client_ca;
  config.accept_loss = given.accept_loss;
  result<server_setup> setup = check_setup(config, read_files(config));
  if (!setup) throw command_failure{exit_code::usage, std::string(setup.error().message())};
  return std::move(*setup);
}

/// A level that there is not would leave the log at `info`, whatever was meant.
void check_log_level() {
  const char* const wanted = std::getenv("WEIR_LOG");
  if (wanted == nullptr || *wanted == '\0') return;
  // What is no level gives whichever of the two is asked for.
  if (log::parse_level(wanted, log::level::info) == log::parse_level(wanted, log::level::off)) {
    return;
  }
  throw command_failure{exit_code::usage,
                        fmt::format("there is no log level '{}' (from WEIR_LOG); trace, debug, "
                                    "info, warn, error and off are known",
                                    wanted)};
}

/// The data folder is made when it is not there, and nothing above it: a typing error must not
/// begin an empty server somewhere.
void check_place(const std::string& folder) {
  namespace fs = std::filesystem;
  std::error_code failure;
  if (fs::exists(folder, failure)) return;
  fs::path path = fs::path(folder);
  if (!path.has_filename()) path = path.parent_path();  // "data/"
  if (fs::is_symlink(path, failure)) {
    throw command_failure{
        exit_code::usage,
        fmt::format("the data folder '{}' is a link to what is not there", folder)};
  }
  const fs::path above = path.parent_path();
  if (above.empty() || fs::is_directory(above, failure)) return;
  throw command_failure{exit_code::usage, fmt::format("there is no folder '{}' to make the data "
                                                      "folder '{}' in",
                                                      above.string(), path.filename().string())};
}

/// Connections must leave descriptors for the files of the journal and for calls to workers.
void fit_connections(server_config& config) {
  constexpr std::uint64_t kept = 512;
  constexpr std::uint64_t descriptors_min = 20;  // with fewer it may listen and answer nobody
  const std::uint64_t limit = raise_descriptor_limit();
  if (limit < descriptors_min) {
    throw command_failure{exit_code::failed,
                          fmt::format("the system allows {} open files, and the server needs {} at "
                                      "least: raise the limit (ulimit -n, LimitNOFILE= of a unit)",
                                      limit, descriptors_min)};
  }
  const std::uint64_t most = limit > 2 * kept ? limit - kept : limit / 2;
  if (config.connections_max <= most) return;
  log::warn(
      "fewer connections than configured: the system allows too few descriptors",
      {{"connections", most}, {"configured", config.connections_max}, {"descriptors", limit}});
  config.connections_max = static_cast<std::uint32_t>(most);
}

/// The path of a Unix socket; "" where there is no file.
std::string socket_path(const address& at) {
  const std::string text = at.text();
  const std::string path = text.substr(text.find(':') + 1);
  const bool is_file = at.family() == address_family::unix_path && !path.starts_with('@');
  return is_file ? path : "";
}

/// A socket that nobody listens behind is replaced; what else is there is somebody's.
void check_door(const address& at) {
  struct stat found;
  const std::string path = socket_path(at);
  if (path.empty()) return;
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  std::error_code failure;
  if (!folder.empty() && !std::filesystem::is_directory(folder, failure)) {
    throw command_failure{
        exit_code::usage,
        fmt::format("there is no folder '{}' to make the socket '{}' in", folder.string(), path)};
  }
  if (::lstat(path.c_str(), &found) != 0 || S_ISSOCK(found.st_mode)) return;
  throw command_failure{
      exit_code::usage,
      fmt::format("'{}' is there and is no socket: remove it, or give --listen another path",
                  path)};
}

/// The file of our Unix socket: removed at the end, unless another server has put its own there.
class socket_file {
 public:
  socket_file() = default;
  socket_file(const socket_file&) = delete;
  socket_file& operator=(const socket_file&) = delete;
  ~socket_file() {
    struct stat found;
    const bool is_there = !path_.empty() && ::lstat(path_.c_str(), &found) == 0;
    const bool is_ours = is_there && found.st_dev == ours_.st_dev && found.st_ino == ours_.st_ino &&
                         found.st_ctim.tv_sec == ours_.st_ctim.tv_sec &&
                         found.st_ctim.tv_nsec == ours_.st_ctim.tv_nsec;
    if (is_ours) ::unlink(path_.c_str());
  }
  void made_at(const address& at) {
    path_ = socket_path(at);
    if (::lstat(path_.c_str(), &ours_) != 0) path_.clear();
  }

 private:
  std::string path_;
  struct stat ours_ = {};
};

/// Tells the user where the server is.
class greeter final : public server_observer {
 public:
  explicit greeter(const server_setup& setup) : setup_(setup) {}
  progress_listener* recovery() override { return &bar_; }
  void listening(const address& at) override {
    bar_.end();
    socket_.made_at(at);
    try {
      print(greeting(setup_, at, loop::current()->io().name()));
    } catch (const command_failure& failed) {  // a full disk, a pipe that was closed
      log::warn("where the server listens could not be printed",
                {{"listen", at.text()}, {"why", failed.text}});
    }
  }

 private:
  server_setup setup_;
  progress_bar bar_{"opening", progress_unit::bytes};
  socket_file socket_;
};

task<> stop_at(int signal_number, event* stop) {
  co_await wait_signal(signal_number);
  stop->set();
}

task<> reload(const server_config& config, server_secrets& secrets) {
  std::string why;
  server_files files;
  co_await blocking([&] {
    try {
      files = read_files(config);
    } catch (const command_failure& failed) {
      why = failed.text;
    }
  });
  if (why.empty()) {
    const result<void> done = secrets.reload(config, files);
    if (!done) why = describe(done.error());
  }
  if (!why.empty()) {
    log::error("nothing was reloaded", {{"why", std::string_view(why)}});
    co_return;
  }
  log::info("reloaded", {{"tokens", secrets.tokens() ? secrets.tokens()->size() : 0},
                         {"tls", secrets.tls() != nullptr}});
}

/// New tokens and certificates at SIGHUP; when a file is wrong, what was before stays. Without
/// memory for them it is tried again.
task<> reload_at_hangup(server_config config, std::shared_ptr<server_secrets> secrets) {
  memory_pause memory("reload");
  for (bool is_wanted = false;;) {
    if (!is_wanted) co_await wait_signal(SIGHUP);
    is_wanted = false;
    try {
      co_await reload(config, *secrets);
      continue;
    } catch (...) {
      memory.found_none();
    }
    is_wanted = true;
    co_await sleep_until(memory.until());
  }
}

task<int> serve(server_setup setup) {
  warn_of_danger(setup);
  event stop;
  const second_signal_kills at_once;  // what was confirmed is on disk
  greeter tell(setup);
  co_await with_scope({.name = "process"}, [&](scope& process) -> task<> {
    for (const int number : {SIGTERM, SIGINT}) {
      if (!is_signal_ignored(number)) process.spawn(stop_at, number, &stop);
    }
    process.spawn(reload_at_hangup, setup.config, setup.secrets);
    co_await run_server(std::move(setup), stop, tell);
    process.cancel("the server has ended");
  });
  co_return 0;
}

}  // namespace

void add_serve_command(command_syntax app, command_choice& choice) {
  const command_syntax command = app.subcommand("serve", "Run the server");
  command.footer(
      "SIGTERM and SIGINT end it in order: what is in flight is answered (10 s at most), what was\n"
      "confirmed is on disk, and the exit code is 0. A second one does not wait for what is in\n"
      "flight. SIGHUP reads tokens and certificates anew.");
  const auto given = std::make_shared<serve_settings>();
  command.option("--data", given->data, "The data folder (default weir-data)").called("DIR");
  command
      .option("--listen", given->listen,
              "Where to listen (default 127.0.0.1:8420); port 0 lets the system choose")
      .called("ADDR");
  command
      .option("--token-file", given->token_file,
              "Secrets of clients, one a line; needed when others can reach the address")
      .called("FILE");
  command
      .option("--tls-cert", given->tls_cert,
              "Speak https: the certificate with its chain, a PEM file")
      .called("FILE");
  command.option("--tls-key", given->tls_key, "The certificate's private key, a PEM file")
      .called("FILE");
  command
      .option("--tls-client-ca", given->tls_client_ca,
              "Only clients with a certificate of these CAs may connect, a PEM file")
      .called("FILE");
  command.option("--config", given->config, "Settings as a JSON object; options win")
      .called("FILE");
  command.flag("--accept-loss", given->accept_loss,
               "Open a damaged data folder without what is lost (see `weir check DIR` first)");
  command.when_chosen([&choice, given] {
    choice.run = [given] {
      // Whoever reads the output may go, or stand still, and the server goes on.
      std::signal(SIGPIPE, SIG_IGN);
      const log_outlet outlet(STDERR_FILENO);
      server_setup setup = setup_of(*given);
      check_log_level();
      check_place(setup.config.data);
      check_door(setup.listen);
      fit_connections(setup.config);
      run_here(serve(std::move(setup)));
      return exit_code::ok;
    };
  });
}

}  // namespace weir
