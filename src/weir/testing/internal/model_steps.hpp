// What a run of the model checker did, step by step. The hard idea: steps are kept as numbers and
// become text only when a run fails, since nearly all runs are thrown away.
#pragma once

#include <weir/testing/detail/model_operations.hpp>

#include <atomic>
#include <cstdint>
#include <source_location>
#include <string>
#include <vector>

namespace weir::model::detail {

inline constexpr std::uint32_t no_location = UINT32_MAX;

struct step {
  std::uint32_t thread = 0;
  operation what = operation::load;
  std::memory_order order = std::memory_order_seq_cst;
  bool has_read = false;
  bool has_written = false;
  std::uint32_t at = no_location;
  std::uint64_t read = 0;
  std::uint32_t read_from = 0;  // the step that wrote it; 0: the first value
  std::uint64_t written = 0;
  std::source_location where = {};
};

const char* name(operation what) noexcept;
const char* name(std::memory_order order) noexcept;
/// "offer_deque.hpp:82"
std::string place_text(const std::source_location& where);
/// "steal"
std::string bare_name(const std::source_location& where);
/// True for the bare name of the function that `where` stands in.
bool is_in(const std::source_location& where, std::string_view function) noexcept;
/// A line for each step, numbered from 1.
std::string text_of(const std::vector<step>& steps);

}  // namespace weir::model::detail
