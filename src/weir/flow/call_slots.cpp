#include <weir/flow/detail/call_slots.hpp>

#include <weir/base/defect.hpp>
#include <weir/base/error.hpp>
#include <weir/base/text.hpp>
#include <weir/core/loop.hpp>
#include <weir/flow/detail/clock_here.hpp>

#include <new>
#include <string>

namespace weir::detail {

slots_options checked(const char* policy, const slots_options& given) {
  if (given.limit == 0 || given.wait_max < duration())
    raise(error(errc::invalid_argument,
                std::string(policy) + ": calls_max must be above 0, and wait_max not negative"));
  return given;
}

template <class Reach>
bool call_slots<Reach>::awaiter::admit(typename Reach::wakes&) noexcept {
  call_slots& of = *this->of_;
  if (of.has_place()) {
    of.take_one();
    return true;
  }
  if (of.waiting_ < of.options_.queue_max && of.options_.wait_max > duration()) return false;
  ++of.refused_;
  end_ = end::full;
  return true;
}

// The clock is read before the lock is taken.
template <class Reach>
void call_slots<Reach>::awaiter::enlist() noexcept {
  const duration wait_max = this->of_->options_.wait_max;
  if (wait_max != duration::max()) timer_.due = now_here() + wait_max;
  base::enlist();
}

template <class Reach>
void call_slots<Reach>::awaiter::stood() noexcept {
  ++this->of_->waiting_;
  if (this->of_->options_.wait_max == duration::max()) return;
  timer_.of = this;
  timer_.on_fire = [](timer& t) noexcept { static_cast<wait_timer&>(t).of->took_too_long(); };
  loop::current()->add_timer(timer_);
}

template <class Reach>
void call_slots<Reach>::awaiter::took_too_long() noexcept {
  {
    call_slots& of = *this->of_;
    const typename Reach::guard held(of.lock_);
    if (!this->is_linked()) return;  // (2)
    this->unlink();
    if (!is_planted("flow: a call that gave up waiting still counts")) --of.waiting_;
    ++of.refused_;
  }
  end_ = end::too_late;
  this->complete();
}

template <class Reach>
error call_slots<Reach>::awaiter::why() const noexcept {
  const errc code = end_ == end::too_late ? errc::timed_out : errc::full;
  const slots_stats now = this->of_->stats();
  try {
    std::string text = this->of_->name();
    ((text += ": ") += std::to_string(now.running)) += " calls are running";
    if (end_ == end::too_late) {
      (text += " and none ended within ") += format_duration(this->of_->options_.wait_max);
    } else if (this->of_->options_.queue_max != 0) {
      ((text += " and ") += std::to_string(now.waiting)) += " are waiting";
    }
    return {code, text};
  } catch (const std::bad_alloc&) {
    return code;  // as error does: the text is lost, the refusal stands
  }
}

template <class Reach>
auto call_slots<Reach>::awaiter::take() noexcept -> result<slot> {
  if (end_ == end::admitted) return slot(this->of_);
  return fail(why());
}

template <class Reach>
auto call_slots<Reach>::awaiter::await_resume() -> slot {
  if (end_ == end::admitted) return slot(this->of_);
  throw call_refused(why(), this->of_->name());
}

// It may be asked inside of a signal handler, so what is under a lock is left out.
template <class Reach>
void call_slots<Reach>::awaiter::describe(const wait& w, text_sink& out) noexcept {
  const call_slots& of = *static_cast<const awaiter&>(w).of_;
  out.put("in ");
  out.put(of.name());
  if constexpr (!Reach::is_shared) {
    out.put(", where ");
    out.put_number(of.running_);
    out.put(" run");
  }
}

template <class Reach>
void call_slots<Reach>::give_back() noexcept {
  typename Reach::wakes woken;
  const typename Reach::guard held(lock_);
  --running_;
  serve(woken);
}

template <class Reach>
void call_slots<Reach>::serve(typename Reach::wakes& woken) noexcept {
  while (!line_.is_empty() && has_place()) {  // (1)
    awaiter& one = line_.pop_front();
    --waiting_;
    take_one();
    woken.add(one);
  }
}

template <class Reach>
void call_slots<Reach>::set_limit(std::uint32_t limit, typename Reach::wakes& woken) noexcept {
  const typename Reach::guard held(lock_);
  options_.limit = limit;
  serve(woken);
}

template <class Reach>
slots_stats call_slots<Reach>::stats() const noexcept {
  const typename Reach::guard held(lock_);
  return {.limit = options_.limit,
          .running = running_,
          .waiting = waiting_,
          .admitted = admitted_,
          .refused = refused_};
}

template class call_slots<one_loop>;
template class call_slots<many_loops>;

}  // namespace weir::detail
