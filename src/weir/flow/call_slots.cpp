#include <weir/flow/detail/call_slots.hpp>

#include <weir/base/error.hpp>
#include <weir/base/text.hpp>
#include <weir/core/loop.hpp>
#include <weir/core/scope.hpp>

#include <string>

namespace weir::detail {

slots_options checked(const char* policy, const slots_options& given) {
  if (given.limit == 0 || given.wait_max < duration())
    raise(error(errc::invalid_argument,
                std::string(policy) + ": calls_max must be above 0, and wait_max not negative"));
  return given;
}

constinit const wait_kind call_slots::awaiter::kind_{"a place for a call", &base::leave,
                                                     &call_slots::awaiter::describe};

bool call_slots::awaiter::admit(one_loop::wakes&) noexcept {
  if (of_->is_ready()) {
    of_->take_one();
    return true;
  }
  if (of_->waiting_ < of_->options_.queue_max && of_->options_.wait_max > duration()) return false;
  ++of_->refused_;
  end_ = end::full;
  return true;
}

void call_slots::awaiter::stood() noexcept {
  ++of_->waiting_;
  if (of_->options_.wait_max == duration::max()) return;
  loop& on = *loop::current();
  timer_.of = this;
  timer_.due = on.now() + of_->options_.wait_max;
  timer_.on_fire = [](timer& t) noexcept {
    awaiter& self = *static_cast<wait_timer&>(t).of;
    self.unlink();
    --self.of_->waiting_;
    ++self.of_->refused_;
    self.end_ = end::too_late;
    self.complete();
  };
  on.add_timer(timer_);
}

void call_slots::awaiter::left(one_loop::wakes&) noexcept {
  --of_->waiting_;
  loop::current()->remove_timer(timer_);
}

error call_slots::awaiter::why() const noexcept {
  std::string text = of_->options_.name;
  ((text += ": ") += std::to_string(of_->running_)) += " calls are running";
  if (end_ == end::too_late) {
    (text += " and none ended within ") += format_duration(of_->options_.wait_max);
  } else if (of_->options_.queue_max != 0) {
    ((text += " and ") += std::to_string(of_->waiting_)) += " are waiting";
  }
  return {end_ == end::too_late ? errc::timed_out : errc::full, text};
}

result<call_slots::slot> call_slots::awaiter::take() noexcept {
  if (end_ == end::admitted) return slot(of_);
  return fail(why());
}

call_slots::slot call_slots::awaiter::await_resume() {
  if (end_ == end::admitted) return slot(of_);
  throw call_refused(why(), of_->options_.name);
}

void call_slots::awaiter::describe(const wait& w, text_sink& out) noexcept {
  const call_slots& of = *static_cast<const awaiter&>(w).of_;
  out.put("in ");
  out.put(of.options_.name);
  out.put(", where ");
  out.put_number(of.running_);
  out.put(" run");
}

void call_slots::give_back() noexcept {
  --running_;
  serve();
}

void call_slots::serve() noexcept {
  while (!line_.is_empty() && is_ready()) {  // (1)
    awaiter& one = line_.pop_front();
    --waiting_;
    loop::current()->remove_timer(one.timer_);
    take_one();
    one.complete();
  }
}

void call_slots::set_limit(std::uint32_t limit) noexcept {
  options_.limit = limit;
  serve();
}

slots_stats call_slots::stats() const noexcept {
  return {.limit = options_.limit,
          .running = running_,
          .waiting = waiting_,
          .admitted = admitted_,
          .refused = refused_};
}

}  // namespace weir::detail
