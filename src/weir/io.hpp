// Floors 0 to 2 in one include: tasks and scopes, and sockets, files, signals and blocking calls on
// the real kernel.
#pragma once

#include <weir/core.hpp>
#include <weir/io/address.hpp>
#include <weir/io/blocking.hpp>
#include <weir/io/file.hpp>
#include <weir/io/readiness.hpp>
#include <weir/io/resolve.hpp>
#include <weir/io/run_program.hpp>
#include <weir/io/signals.hpp>
#include <weir/io/socket.hpp>
