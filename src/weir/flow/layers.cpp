#include <weir/flow/layers.hpp>

#include <weir/base/text.hpp>

#include <string>

namespace weir {

void rate_limit::check() const {
  const duration delay = bucket_->delay();
  if (delay <= wait_max_) return;
  throw call_refused(error(errc::full, std::string(bucket_->name()) + ": the next token comes in " +
                                           format_duration(delay)),
                     bucket_->name(), delay);
}

}  // namespace weir
