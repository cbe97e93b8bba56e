// HTTP: the server and the client.
#pragma once

#include <weir/http/client.hpp>
#include <weir/http/server.hpp>
