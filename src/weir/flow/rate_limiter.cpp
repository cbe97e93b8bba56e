#include <weir/flow/rate_limiter.hpp>

#include <weir/base/assert.hpp>
#include <weir/base/defect.hpp>
#include <weir/base/error.hpp>
#include <weir/base/text.hpp>
#include <weir/core/loop.hpp>
#include <weir/flow/call_failure.hpp>
#include <weir/flow/detail/clock_here.hpp>

#include <new>
#include <string>
#include <utility>

namespace weir::detail {

token_bucket::token_bucket(const rate_options& options) : options_(options) {
  if (options.tokens == 0 || options.burst == 0 || options.per <= duration())
    raise(error(errc::invalid_argument,
                "rate_limiter: tokens, per and burst must be above 0, or nothing would ever pass"));
  of_one_ = price(1);
  whole_ = price(options.burst);
  empty_at_ = filled_from(time_point());  // full from the start
}

token_cost token_bucket::price(std::uint64_t tokens) const noexcept {
  const auto parts =
      static_cast<unsigned __int128>(tokens) * static_cast<std::uint64_t>(options_.per.ns);
  const auto whole = parts / options_.tokens;
  const auto longest = static_cast<unsigned __int128>(duration::max().ns);
  if (whole >= longest) return {.time = duration::max()};
  const auto ns = static_cast<std::uint64_t>(whole);
  if (is_planted("flow: the price of tokens is rounded down"))
    return {.time = duration(static_cast<std::int64_t>(ns))};
  return {.time = duration(static_cast<std::int64_t>(ns)),  // what is left fits into 64 bits
          .part = static_cast<std::uint64_t>(parts) - ns * options_.tokens};
}

// The line takes its tokens one after the other.
duration token_bucket::delay(token_cost cost, token_cost ahead, time_point now) const noexcept {
  const time_point mine = rounded_up(after(after(filled_since(now), ahead), cost));
  return mine > now ? mine - now : duration();
}

template <class Reach>
basic_rate_limiter<Reach>::basic_rate_limiter(rate_options options) : bucket_(options) {}

template <class Reach>
basic_rate_limiter<Reach>::~basic_rate_limiter() {
  WEIR_ASSERT(line_.is_empty() && "destroyed while tasks wait for it");
}

template <class Reach>
bool basic_rate_limiter<Reach>::try_acquire(std::uint64_t tokens) noexcept {
  if (!bucket_.has_room_for(tokens)) return false;
  const token_cost cost = bucket_.cost_of(tokens);
  const time_point now = now_here();
  const typename Reach::guard held(lock_);
  return line_.is_empty() && try_take(tokens, cost, now);
}

template <class Reach>
duration basic_rate_limiter<Reach>::delay(std::uint64_t tokens) noexcept {
  if (!bucket_.has_room_for(tokens)) return duration::max();
  const token_cost cost = bucket_.cost_of(tokens);
  const time_point now = now_here();
  const typename Reach::guard held(lock_);
  return bucket_.delay(cost, bucket_.cost_of(tokens_waited_for_), now);
}

template <class Reach>
void basic_rate_limiter<Reach>::serve(time_point now, typename Reach::wakes& woken) noexcept {
  while (!line_.is_empty() && try_take(line_.front().tokens_, line_.front().cost_, now)) {
    awaiter& one = line_.pop_front();
    tokens_waited_for_ -= one.tokens_;
    --waiting_;
    one.call(woken);
  }
  if (line_.is_empty() || std::exchange(line_.front().is_next_, true)) return;
  line_.front().call(woken);  // (1)
}

template <class Reach>
bool basic_rate_limiter<Reach>::awaiter::try_now() noexcept {
  looked_at_ = now_here();
  return base::try_now();
}

template <class Reach>
bool basic_rate_limiter<Reach>::awaiter::admit(typename Reach::wakes&) noexcept {
  basic_rate_limiter& of = *this->of_;
  if (!of.bucket_.has_room_for(tokens_)) return true;  // take() says why
  if (of.line_.is_empty() && of.try_take(tokens_, cost_, looked_at_)) return true;
  if (wait_max_ == duration::max()) return false;
  delay_ = of.bucket_.delay(cost_, of.bucket_.cost_of(of.tokens_waited_for_), looked_at_);
  return is_refused_ = delay_ > wait_max_;
}

template <class Reach>
void basic_rate_limiter<Reach>::awaiter::stood() noexcept {
  basic_rate_limiter& of = *this->of_;
  if constexpr (Reach::is_shared)
    this->run = [](post_node& call) noexcept { static_cast<awaiter&>(call).arrive(); };
  of.tokens_waited_for_ += tokens_;
  ++of.waiting_;
  if (&of.line_.front() != this) return;
  is_next_ = true;
  set_timer();  // (1)
}

// Tells it to look at what has become of it: called under the lock.
template <class Reach>
void basic_rate_limiter<Reach>::awaiter::call(typename Reach::wakes& woken) noexcept {
  if constexpr (Reach::is_shared) {
    if (!std::exchange(is_called_, true)) woken.add(*this);  // (2)
  } else {
    arrive();
  }
}

// At home. Whoever has left the line was admitted, or taken back while the call was on its way.
template <class Reach>
void basic_rate_limiter<Reach>::awaiter::arrive() noexcept {
  {
    const typename Reach::guard held(this->of_->lock_);
    is_called_ = false;
    if (this->is_linked()) return set_timer();
  }
  loop::current()->remove_timer(timer_);
  if (has_left_) {
    this->complete_cancelled();
  } else {
    this->complete();
  }
}

template <class Reach>
void basic_rate_limiter<Reach>::awaiter::set_timer() noexcept {
  timer_.of = this;
  timer_.on_fire = [](timer& t) noexcept { static_cast<turn_timer&>(t).of->turn_came(); };
  timer_.due = this->of_->bucket_.due(cost_);
  loop::current()->add_timer(timer_);
}

template <class Reach>
void basic_rate_limiter<Reach>::awaiter::turn_came() noexcept {
  const time_point now = now_here();
  typename Reach::wakes woken;
  const typename Reach::guard held(this->of_->lock_);
  this->of_->serve(now, woken);
  if (this->is_linked()) set_timer();  // not yet, by this clock; (1)
}

template <class Reach>
void basic_rate_limiter<Reach>::awaiter::left(typename Reach::wakes& woken) noexcept {
  loop::current()->remove_timer(timer_);
  this->of_->tokens_waited_for_ -= tokens_;
  --this->of_->waiting_;
  if (is_planted("flow: who leaves the line of a rate limiter takes the timer along")) return;
  this->of_->serve(looked_at_, woken);
}

template <class Reach>
void basic_rate_limiter<Reach>::awaiter::leave(wait& w) noexcept {
  awaiter& self = static_cast<awaiter&>(w);
  self.looked_at_ = now_here();
  if (!self.leave_line()) return;
  // Nobody calls it any more; what is on its way arrives here, later.
  self.has_left_ = self.is_called_;
  if (!self.has_left_) w.complete_cancelled();  // (2)
}

template <class Reach>
result<void> basic_rate_limiter<Reach>::awaiter::take() noexcept {
  if (is_refused_) return fail(why());
  if (this->of_->bucket_.has_room_for(tokens_)) return {};
  return fail(errc::invalid_argument, "acquire: asks for more tokens than the bucket holds");
}

template <class Reach>
void basic_rate_limiter<Reach>::awaiter::await_resume() {
  if (is_refused_) throw call_refused(why(), this->of_->name(), delay_);
  base::await_resume();
}

template <class Reach>
error basic_rate_limiter<Reach>::awaiter::why() const noexcept {
  try {
    return {errc::full, std::string(this->of_->name()) + ": the next token comes in " +
                            format_duration(delay_)};
  } catch (const std::bad_alloc&) {  // no memory for the text
    return errc::full;
  }
}

template <class Reach>
void basic_rate_limiter<Reach>::awaiter::describe(const wait& w, text_sink& out) noexcept {
  const auto& self = static_cast<const awaiter&>(w);
  out.put_number(self.tokens_);
  out.put(" of ");
  out.put(self.of_->name());
}

template class basic_rate_limiter<one_loop>;
template class basic_rate_limiter<many_loops>;

}  // namespace weir::detail
