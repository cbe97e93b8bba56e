// Text of the library's descriptions, gathered in a string.
#pragma once

#include <weir/core/frame.hpp>

#include <cstddef>
#include <new>
#include <string>

namespace weir::detail {

class string_sink final : public text_sink {
 public:
  using text_sink::put;
  void put(const char* piece, std::size_t size) noexcept override {
    try {
      text.append(piece, size);
    } catch (const std::bad_alloc&) {
      return;  // the text is cut; nothing else depends on it
    }
  }

  std::string text;
};

}  // namespace weir::detail
