// The life of `weir serve`: open and recover, listen, serve, drain, close. The hard idea is the
// order of the end: first nobody new comes in and no worker is called any more, then what is in
// flight ends, and only then does the broker write its last records; so whatever was promised to
// anybody is on disk before the process is gone.
#pragma once

#include <weir/base/progress.hpp>
#include <weir/core/task.hpp>
#include <weir/flow/event.hpp>
#include <weir/io/address.hpp>
#include <weir/io/address_rules.hpp>
#include <weir/serve/server_config.hpp>
#include <weir/serve/server_secrets.hpp>

#include <memory>
#include <string>
#include <string_view>

namespace weir {

/// What the server was told, checked.
struct server_setup {
  server_config config;
  address listen;
  std::shared_ptr<server_secrets> secrets;
  address_rules callable;  // whom the server may call
};

/// Checks addresses, tokens and certificates. An address that others can reach needs tokens or
/// certificates of its clients: `invalid_argument`.
result<server_setup> check_setup(const server_config& config, const server_files& files = {});

/// Told when the server answers.
struct server_observer {
  virtual ~server_observer() = default;
  virtual void listening(const address& at) = 0;
  /// Who hears how far the opening of the data folder is; null: nobody.
  virtual progress_listener* recovery() { return nullptr; }
};

/// Serves until `stop` is set, then drains for at most config.drain_timeout and closes.
/// Cancel: a cancelled server cuts everything off; what was confirmed is on disk in any case.
/// Errors: `busy` (the folder or the address is in use), `corrupt`, and what fails the broker.
task<> run_server(server_setup setup, event& stop, server_observer& observer);

/// The first lines that a user sees: where it listens, and three commands to try.
std::string greeting(const server_setup& setup, const address& at, std::string_view driver);

}  // namespace weir
