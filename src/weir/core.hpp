// Floors 0 and 1 in one include: tasks, scopes, time, combining, and running them on a driver.
#pragma once

#include <weir/base/error.hpp>
#include <weir/base/result.hpp>
#include <weir/base/time.hpp>
#include <weir/core/as_result.hpp>
#include <weir/core/cleanup.hpp>
#include <weir/core/combine.hpp>
#include <weir/core/error_group.hpp>
#include <weir/core/generator.hpp>
#include <weir/core/local.hpp>
#include <weir/core/loop.hpp>
#include <weir/core/run.hpp>
#include <weir/core/scope.hpp>
#include <weir/core/select.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/start.hpp>
#include <weir/core/task.hpp>
#include <weir/core/unhandled.hpp>
#include <weir/core/with_scope.hpp>
