#include <weir/bridge/stop_token.hpp>

namespace weir::detail {

task<> cancel_when_stopped(cross::event* stopped, scope* around) {
  co_await stopped->wait();
  around->cancel("a std::stop_token was stopped");
}

task<> stop_when_cancelled(std::stop_source source) {
  struct stop_at_end {
    std::stop_source& of;
    ~stop_at_end() { of.request_stop(); }
  };
  const stop_at_end stop{source};
  event never("the end of the scope");
  co_await never.wait();
}

}  // namespace weir::detail
