// What a message costs `weir serve` when messages are spread over 1, 1,000 and 100,000 queues: each
// is submitted, taken and acknowledged one by one, and goes to the next queue.
#include "weir_conversations.hpp"

#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

namespace {

using bench::http::weir_server;

constexpr int connections = 64;

void measure_queues(std::int64_t number, std::int64_t count) {
  const bench::temp_folder folder("queues");
  const std::string config = folder.path() + "/config";
  std::ofstream(config) << R"({"limits":{"queues":1000000}})";
  const weir_server weir(folder.path() + "/data", folder.path() + "/log", {"--config", config});
  std::vector<std::string> queues;
  for (std::int64_t i = 0; i < number; ++i) queues.push_back("queue" + std::to_string(i));
  weir.put_queues(queues);
  // So that no case is colder than the others: a hundred thousand queues were just made.
  (void)weir.load<bench::http::liver>(connections, count / 10, queues);
  print_load("queues_life", "queues=" + std::to_string(number), count,
             weir.load<bench::http::liver>(connections, count, queues),
             static_cast<std::uint64_t>(number));
  bench::print_row(("queues_memory/queues=" + std::to_string(number)).c_str(),
                   static_cast<double>(weir.process.status("VmRSS")) / (1 << 20), "MiB",
                   static_cast<std::uint64_t>(number));
}

}  // namespace

int main(int argc, char** argv) {
  const bool small = bench::is_small(argc, argv);
  return bench::run([small] {
    bench::pin_to(bench::client_core);
    for (const std::int64_t number : {1, 1'000, 100'000}) {
      measure_queues(small ? number / 100 + 1 : number, small ? 128 : 100'000);
    }
  });
}
