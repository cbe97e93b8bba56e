// What nearly every source of the library includes, parsed once: cmake/weir.cmake. The library
// itself has standard_headers.cpp in dev.
#include <weir/core.hpp>
#include <weir/io/file.hpp>
#include <weir/io/socket.hpp>

#include <boost/json.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>
