// What tests of files in bulk share.
#pragma once

#include <weir/core/task.hpp>
#include <weir/io/file.hpp>

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>

namespace weir::contract {

inline task<file> make_file(std::string path, std::string_view text) {
  file made = co_await open_file(std::move(path), {.write = true, .create = true});
  co_await made.write_at(0, text);
  co_return made;
}

// In a coroutine GTEST_SKIP() can't return.
inline void skip(const char* why) { GTEST_SKIP() << why; }

}  // namespace weir::contract
