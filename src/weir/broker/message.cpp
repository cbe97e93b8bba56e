#include <weir/broker/message.hpp>

namespace weir {

std::string_view name(message_state state) noexcept {
  switch (state) {
    case message_state::ready:
      return "ready";
    case message_state::delayed:
      return "delayed";
    case message_state::leased:
      return "leased";
    case message_state::done:
      return "done";
    case message_state::expired:
      return "expired";
    case message_state::dead:
      return "dead";
  }
  return "unknown";
}

}  // namespace weir
