// Loads an HTTP server with wrk and reads what it says. One answer that is not a success, or one
// broken connection, makes the run worthless, so it fails.
#include "measure.hpp"
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>

namespace {

struct load {
  const char* name;
  int connections;
  int depth;  // requests that a connection has on their way
};
constexpr load loads[] = {
    {"http/c=64", 64, 1},
    {"http/c=512", 512, 1},
    {"http/c=64,pipelined=16", 64, 16},
    {"http/c=512,pipelined=16", 512, 16},
};

[[noreturn]] void die(const std::string& what) {
  std::fprintf(stderr, "http_client: %s\n", what.c_str());
  std::exit(1);
}

// A script for wrk that sends `depth` requests at once.
std::string pipeline_script(int depth) {
  const char* folder = std::getenv("TMPDIR");
  std::string path = std::string(folder ? folder : "/tmp") + "/weir-wrk-XXXXXX";
  const int handle = mkstemp(path.data());
  if (handle < 0) die("no temporary file");
  close(handle);
  std::ofstream(path) << "init = function(args)\n"
                         "  local all = {}\n"
                         "  for i = 1, "
                      << depth
                      << " do all[i] = wrk.format() end\n"
                         "  request_text = table.concat(all)\n"
                         "end\n"
                         "request = function() return request_text end\n";
  return path;
}

// "1.23ms" in microseconds.
double microseconds(const std::string& text) {
  char* unit = nullptr;
  const double number = std::strtod(text.c_str(), &unit);
  const std::string name = unit;
  if (name == "us") return number;
  if (name == "ms") return number * 1e3;
  if (name == "s") return number * 1e6;
  die("wrk gave a latency of " + text);
}

struct outcome {
  double requests = 0;
  double p50_us = 0;
  double p99_us = 0;
};

outcome run_wrk(const load& what, int port, int seconds) {
  std::string command = "wrk -t1 --latency --timeout 20s -c" + std::to_string(what.connections) +
                        " -d" + std::to_string(seconds) + "s";
  std::string script;
  if (what.depth > 1) command += " -s " + (script = pipeline_script(what.depth));
  command += " http://127.0.0.1:" + std::to_string(port) + "/ 2>&1";
  std::FILE* output = popen(command.c_str(), "r");
  if (!output) die("wrk does not start");
  outcome got;
  char line[512];
  while (std::fgets(line, sizeof line, output)) {
    char word[32];
    if (std::sscanf(line, " 50%% %31s", word) == 1) got.p50_us = microseconds(word);
    if (std::sscanf(line, " 99%% %31s", word) == 1) got.p99_us = microseconds(word);
    if (std::strstr(line, "requests in")) got.requests = std::strtod(line, nullptr);
    if (std::strstr(line, "Non-2xx") || std::strstr(line, "Socket errors")) die(line);
  }
  const int status = pclose(output);
  if (!script.empty()) unlink(script.c_str());
  if (status != 0 || got.requests < 1) die("wrk failed or did nothing");
  return got;
}

bool has_wrk() {
  if (std::system("command -v wrk > /dev/null") == 0) return true;
  std::fprintf(stderr, "http_client: wrk is not installed: no case\n");
  return false;
}

void run_load(const load& what, int port, bool is_small) {
  if (!is_small) run_wrk(what, port, 1);  // a warm-up
  std::printf("# begin\n");
  std::fflush(stdout);
  char byte = 0;
  if (read(STDIN_FILENO, &byte, 1) < 0) die("standard input");
  const outcome got = run_wrk(what, port, is_small ? 1 : 3);
  const std::string parameters = std::strchr(what.name, '/');
  if (what.depth == 1) {  // of requests sent together wrk has no percentiles
    bench::print_row(("p50" + parameters).c_str(), got.p50_us, "us", 0);
    bench::print_row(("p99" + parameters).c_str(), got.p99_us, "us", 0);
  }
  bench::print_row(what.name, got.requests, "requests", 0);
}

}  // namespace

int main(int argc, char** argv) {
  int port = 0;
  const char* name = nullptr;
  bool is_list = false;
  bool is_small = false;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--list") is_list = true;
    if (word == "--small") is_small = true;
    if (word == "--port" && i + 1 < argc) port = std::atoi(argv[++i]);
    if (word == "--case" && i + 1 < argc) name = argv[++i];
  }
  if (is_list && !has_wrk()) return 0;
  for (const load& one : loads) {
    if (is_list && !(is_small && &one != loads)) std::printf("%s\n", one.name);
    if (!name || std::strcmp(name, one.name) != 0) continue;
    run_load(one, port, is_small);
    return 0;
  }
  if (is_list) return 0;
  std::fprintf(stderr, "usage: http_client --list | --port PORT --case CASE [--small]\n");
  return 2;
}
