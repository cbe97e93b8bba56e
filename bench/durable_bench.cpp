// Durable messages over HTTP: `weir serve` on one core, a client with keep-alive connections on
// another, everything on disk before each answer. Loads: submit 1 KiB; the same while 8 of the 64
// connections are workers that take 16 at a time and acknowledge them together; the same where each
// connection submits, takes and acknowledges one by one; one connection alone. Peers do the same by
// their own protocols, with as much in flight.
#include "weir_conversations.hpp"

#include <cstdint>
#include <string>

namespace {

template <class Talk>
void load(const bench::http::weir_server& weir, const std::string& name, int connections,
          std::int64_t count, const char* counted, int workers = 0) {
  const std::string queue = name + std::to_string(connections);
  weir.put_queues({queue});
  const bench::load_outcome outcome =
      weir.load<Talk>(connections - workers, count, {queue}, workers);
  print_load(name, "in_flight=" + std::to_string(connections), count, outcome,
             weir.count_of(queue, counted));
}

}  // namespace

int main(int argc, char** argv) {
  const bool small = bench::is_small(argc, argv);
  return bench::run([small] {
    using namespace bench::http;
    bench::pin_to(bench::client_core);
    const bench::temp_folder folder("durable");
    const weir_server weir(folder.path() + "/data", folder.path() + "/log");
    load<submitter>(weir, "submit", 64, small ? 128 : 60'000, "ready");
    load<submitter>(weir, "life", 64, small ? 128 : 60'000, "done", 8);
    load<liver>(weir, "life_one_by_one", 64, small ? 128 : 30'000, "done");
    load<submitter>(weir, "submit", 1, small ? 10 : 2'000, "ready");
  });
}
