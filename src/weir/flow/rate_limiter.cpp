#include <weir/flow/rate_limiter.hpp>

#include <weir/base/assert.hpp>
#include <weir/base/error.hpp>
#include <weir/core/loop.hpp>
#include <weir/core/scope.hpp>

namespace weir {

constinit const detail::wait_kind rate_limiter::awaiter::kind_{
    "tokens", &rate_limiter::awaiter::leave, &rate_limiter::awaiter::describe};

rate_limiter::rate_limiter(rate_options options) : options_(options) {
  if (options.tokens == 0 || options.burst == 0 || options.per <= duration())
    raise(error(errc::invalid_argument,
                "rate_limiter: tokens, per and burst must be above 0, or nothing would ever pass"));
  turn_.of = this;
  turn_.on_fire = [](detail::timer& t) noexcept { static_cast<turn&>(t).of->serve(); };
}

rate_limiter::~rate_limiter() {
  WEIR_ASSERT(line_.is_empty() && "destroyed while tasks wait for it");
}

// Rounded up, so that the rate is never exceeded.
duration rate_limiter::cost_of(std::uint64_t tokens) const noexcept {
  const auto whole =
      static_cast<unsigned __int128>(tokens) * static_cast<std::uint64_t>(options_.per.ns);
  const auto cost = (whole + options_.tokens - 1) / options_.tokens;
  const auto longest = static_cast<unsigned __int128>(duration::max().ns);
  return duration(static_cast<std::int64_t>(cost < longest ? cost : longest));
}

// The moment from which on `tokens` are there: what is missing to a full bucket may then be at most
// what they leave of it.
time_point rate_limiter::due(std::uint64_t tokens) const noexcept {
  return full_at_ - (cost_of(options_.burst) - cost_of(tokens));
}

bool rate_limiter::try_take(std::uint64_t tokens, time_point now) noexcept {
  if (due(tokens) > now) return false;
  full_at_ = (full_at_ < now ? now : full_at_) + cost_of(tokens);
  admitted_ += tokens;
  return true;
}

bool rate_limiter::try_acquire(std::uint64_t tokens) noexcept {
  return tokens <= options_.burst && line_.is_empty() && try_take(tokens, loop::current()->now());
}

duration rate_limiter::delay(std::uint64_t tokens) noexcept {
  if (tokens > options_.burst) return duration::max();
  const time_point now = loop::current()->now();
  const duration bucket = cost_of(options_.burst);
  time_point at = now;  // when the one before has been served
  time_point full_at = full_at_;
  for (const awaiter& one : line_) {
    const duration cost = cost_of(one.tokens_);
    if (full_at - (bucket - cost) > at) at = full_at - (bucket - cost);
    full_at = (full_at < at ? at : full_at) + cost;
  }
  const time_point mine = full_at - (bucket - cost_of(tokens));
  return (mine > at ? mine : at) - now;
}

void rate_limiter::serve() noexcept {
  loop& on = *loop::current();
  on.remove_timer(turn_);
  const time_point now = on.now();
  while (!line_.is_empty() && try_take(line_.front().tokens_, now)) line_.pop_front().complete();
  if (line_.is_empty() || turn_.is_set()) return;
  turn_.due = due(line_.front().tokens_);  // (1)
  on.add_timer(turn_);
}

bool rate_limiter::awaiter::admit(detail::one_loop::wakes&) noexcept {
  if (tokens_ > of_->options_.burst) return true;  // take() says why
  return of_->line_.is_empty() && of_->try_take(tokens_, task->current->on().now());
}

void rate_limiter::awaiter::stood() noexcept {
  if (&of_->line_.front() == this) of_->serve();
}

result<void> rate_limiter::awaiter::take() noexcept {
  if (tokens_ <= of_->options_.burst) return {};
  return fail(errc::invalid_argument, "acquire: asks for more tokens than the bucket holds");
}

void rate_limiter::awaiter::describe(const detail::wait& w, detail::text_sink& out) noexcept {
  const auto& self = static_cast<const awaiter&>(w);
  out.put_number(self.tokens_);
  out.put(" of ");
  out.put(self.of_->name());
}

}  // namespace weir
