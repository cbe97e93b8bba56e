#include <weir/broker/broker_errc.hpp>

namespace weir {

std::string_view name(broker_errc code) noexcept {
  switch (code) {
    case broker_errc::queue_not_found:
      return "queue_not_found";
    case broker_errc::queue_full:
      return "queue_full";
    case broker_errc::too_many_queues:
      return "too_many_queues";
    case broker_errc::too_many_keys:
      return "too_many_keys";
    case broker_errc::too_many_replies:
      return "too_many_replies";
    case broker_errc::message_too_large:
      return "message_too_large";
    case broker_errc::message_not_found:
      return "message_not_found";
    case broker_errc::stale_receipt:
      return "stale_receipt";
    case broker_errc::invalid_name:
      return "invalid_name";
    case broker_errc::invalid_setting:
      return "invalid_setting";
    case broker_errc::invalid_field:
      return "invalid_field";
    case broker_errc::too_many_messages:
      return "too_many_messages";
    case broker_errc::busy:
      return "busy";
    case broker_errc::no_space:
      return "no_space";
    case broker_errc::unavailable:
      return "unavailable";
  }
  return "unknown";
}

}  // namespace weir
