// All policies for calls that may fail, in one include. docs/guide/resilience.md shows them.
#pragma once

#include <weir/flow/bulkhead.hpp>
#include <weir/flow/call_cache.hpp>
#include <weir/flow/circuit_breaker.hpp>
#include <weir/flow/concurrency_limit.hpp>
#include <weir/flow/fallback.hpp>
#include <weir/flow/hedge.hpp>
#include <weir/flow/layers.hpp>
#include <weir/flow/load_shed.hpp>
#include <weir/flow/retry.hpp>
