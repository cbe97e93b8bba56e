// Tests of programs on several machines: WEIR_TEST_ON_NODES("a sentence") { ... } is for them what
// WEIR_TEST is for one task. The hard idea: the body is no task, since it does to machines what no
// program can do: it adds and starts them, cuts their cables, pulls their plugs, lets time pass.
#pragma once

#include <weir/sim/explored_nodes.hpp>
#include <weir/testing/test.hpp>

#include <source_location>

namespace weir::testing {

/// Calls body() under each schedule, as WEIR_TEST_ON_NODES does, until one fails.
void run_schedules(void (*body)(explored_nodes& nodes), std::source_location place);
/// Registers a test with GoogleTest; for WEIR_TEST_ON_NODES.
bool add_test(const char* sentence, void (*body)(explored_nodes& nodes),
              std::source_location place = std::source_location::current());

}  // namespace weir::testing

#define WEIR_TEST_ON_NODES_NAMED(sentence, body)                    \
  static void body(::weir::explored_nodes& nodes);                  \
  [[maybe_unused]] static const bool WEIR_TEST_JOIN(body, _added) = \
      ::weir::testing::add_test(sentence, &body);                   \
  static void body(::weir::explored_nodes& nodes)
/// A test whose body gets `nodes`, an explored_nodes without machines. Programs that still run when
/// it returns end after its locals have gone: what refers to them is stopped before, `stop()`.
#define WEIR_TEST_ON_NODES(sentence) \
  WEIR_TEST_ON_NODES_NAMED(sentence, WEIR_TEST_JOIN(weir_test_body_, __LINE__))
