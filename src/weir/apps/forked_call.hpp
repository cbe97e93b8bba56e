// A call in a child process: what it touches, the memory and the threads that it takes, are its own
// and gone with it, so that one measurement does not stand on what the one before has left.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <type_traits>
#include <utility>

namespace weir {

namespace detail {
/// False when the child ended without an answer.
bool call_forked(const std::function<void(void* answer)>& call, void* answer, std::size_t bytes);
}  // namespace detail

/// Runs f() in a copy of this process and gives what it returns; nothing when the copy ended
/// without an answer (killed, no memory, an error). It ends when its caller's process does. To be
/// called while the process has one thread: a copy has no others.
template <class F>
auto call_forked(F f) {
  using value = std::invoke_result_t<F&>;
  static_assert(std::is_trivially_copyable_v<value>, "weir: the answer is copied as bytes");
  std::optional<value> answer(std::in_place);
  const auto call = [&f](void* into) { *static_cast<value*>(into) = f(); };
  if (!detail::call_forked(call, &*answer, sizeof(value))) answer.reset();
  return answer;
}

}  // namespace weir
