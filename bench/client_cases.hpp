// The command line of a client that loads servers: tools/bench.py says what it is to print.
#pragma once

#include "measure.hpp"
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace bench {

inline void wait_for_input() {
  char byte = 0;
  if (read(STDIN_FILENO, &byte, 1) < 0) std::exit(1);
}

/// The server is charged from here on: says so, and waits until its use was read.
inline void begin_charging() {
  std::printf("# begin\n");
  std::fflush(stdout);
  wait_for_input();
}

/// The body of main(): lists the names of `loads`, or calls run(load, port, is_small) for one.
template <class Loads, class Run>
int run_client(int argc, char** argv, const Loads& loads, Run run) {
  int port = 0;
  std::string_view name;
  bool is_list = false;
  bool is_small = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--list") is_list = true;
    if (word == "--small") is_small = true;
    if (word == "--port" && i + 1 < argc) port = std::atoi(argv[++i]);
    if (word == "--case" && i + 1 < argc) name = argv[++i];
  }
  for (const auto& one : loads) {
    if (is_list) std::printf("%s\n", one.name);
    if (name != one.name) continue;
    run(one, port, is_small);
    return 0;
  }
  if (is_list) return 0;
  std::fprintf(stderr, "usage: %s --list | --port PORT --case CASE [--small]\n", argv[0]);
  return 2;
}

}  // namespace bench
