#include <weir/flow/schedule.hpp>

#include <weir/base/error.hpp>
#include <weir/flow/cron.hpp>

#include <algorithm>
#include <utility>

namespace weir {

namespace {

using detail::schedule_rule;
using rule_ptr = std::unique_ptr<schedule_rule>;
using shared_rule = std::shared_ptr<const schedule_rule>;
using delay = std::optional<duration>;

void need(bool is_fine, const char* text) {
  if (!is_fine) raise(error(errc::invalid_argument, text));
}

/// length * by, at most duration::max().
duration times(duration length, double by) noexcept {
  const double product = static_cast<double>(length.ns) * by;
  return product < static_cast<double>(duration::max().ns)
             ? duration(static_cast<std::int64_t>(product))
             : duration::max();
}
duration sum(duration a, duration b) noexcept {
  std::int64_t total = 0;
  return __builtin_add_overflow(a.ns, b.ns, &total) ? duration::max() : duration(total);
}

/// A rule whose state is itself: begin() copies the prototype.
template <class Self>
class leaf_rule : public schedule_rule {
 public:
  rule_ptr begin(const schedule_moment&) const override {
    return std::make_unique<Self>(static_cast<const Self&>(*this));
  }
};

class fixed_rule final : public leaf_rule<fixed_rule> {
 public:
  explicit fixed_rule(duration length) noexcept : length_(length) {}
  delay next(const schedule_moment&, random_source&) override { return length_; }

 private:
  duration length_;
};

class exponential_rule final : public leaf_rule<exponential_rule> {
 public:
  exponential_rule(duration first, duration longest, double factor) noexcept
      : next_(first), longest_(longest), factor_(factor) {}
  delay next(const schedule_moment&, random_source&) override {
    const duration now = std::min(next_, longest_);
    next_ = times(now, factor_);
    return now;
  }

 private:
  duration next_;
  duration longest_;
  double factor_;
};

class fibonacci_rule final : public leaf_rule<fibonacci_rule> {
 public:
  fibonacci_rule(duration first, duration longest) noexcept : next_(first), longest_(longest) {}
  delay next(const schedule_moment&, random_source&) override {
    const duration now = next_;
    next_ = sum(before_, now);
    before_ = now;
    return std::min(now, longest_);
  }

 private:
  duration before_;
  duration next_;
  duration longest_;
};

class decorrelated_rule final : public leaf_rule<decorrelated_rule> {
 public:
  decorrelated_rule(duration first, duration longest) noexcept : first_(first), longest_(longest) {}
  delay next(const schedule_moment&, random_source& luck) override {
    const duration most = std::max(first_, times(before_, 3));
    before_ = std::min(duration(luck.between(first_.ns, most.ns)), longest_);
    return before_;
  }

 private:
  duration first_;
  duration longest_;
  duration before_;
};

class cron_rule final : public leaf_rule<cron_rule> {
 public:
  explicit cron_rule(cron_times times) noexcept : times_(times) {}
  // Whoever slept until a time may wake a moment before it by the wall clock, which is not the one
  // that was slept by: that time has been used, and the next one lies after it. A clock that was
  // put back by more than three hours was wrong before.
  delay next(const schedule_moment& at, random_source&) override {
    const bool is_used = at.now >= due_ && last_ > at.wall &&
                         last_ - at.wall < duration::seconds(std::int64_t{3} * 3600);
    last_ = times_.next_after(is_used ? last_ : at.wall);
    const duration length = last_ - at.wall;
    due_ = at.now + length;
    return length;
  }

 private:
  cron_times times_;
  time_point last_;                       // by the wall clock
  time_point due_ = time_point::never();  // the same moment by the monotonic clock
};

/// Changes what another rule gives.
class one_rule : public schedule_rule {
 public:
  explicit one_rule(shared_rule of) noexcept : of_(std::move(of)) {}

 protected:
  one_rule(const one_rule& prototype, const schedule_moment& at)
      : of_(prototype.of_), inner_(prototype.of_->begin(at)) {}
  delay inner(const schedule_moment& at, random_source& luck) { return inner_->next(at, luck); }

 private:
  shared_rule of_;
  rule_ptr inner_;  // null in a prototype
};

class jittered_rule final : public one_rule {
 public:
  jittered_rule(shared_rule of, double from, double to) noexcept
      : one_rule(std::move(of)), from_(from), to_(to) {}
  jittered_rule(const jittered_rule& prototype, const schedule_moment& at)
      : one_rule(prototype, at), from_(prototype.from_), to_(prototype.to_) {}
  rule_ptr begin(const schedule_moment& at) const override {
    return std::make_unique<jittered_rule>(*this, at);
  }
  delay next(const schedule_moment& at, random_source& luck) override {
    const delay length = inner(at, luck);
    if (!length) return length;
    return times(*length, from_ + (to_ - from_) * luck.unit());
  }

 private:
  double from_;
  double to_;
};

class counted_rule final : public one_rule {
 public:
  counted_rule(shared_rule of, std::uint64_t count) noexcept
      : one_rule(std::move(of)), left_(count) {}
  counted_rule(const counted_rule& prototype, const schedule_moment& at)
      : one_rule(prototype, at), left_(prototype.left_) {}
  rule_ptr begin(const schedule_moment& at) const override {
    return std::make_unique<counted_rule>(*this, at);
  }
  delay next(const schedule_moment& at, random_source& luck) override {
    if (left_ == 0) return std::nullopt;
    --left_;
    return inner(at, luck);
  }

 private:
  std::uint64_t left_;
};

class bounded_rule final : public one_rule {
 public:
  bounded_rule(shared_rule of, duration total) noexcept : one_rule(std::move(of)), total_(total) {}
  bounded_rule(const bounded_rule& prototype, const schedule_moment& at)
      : one_rule(prototype, at), total_(prototype.total_), ends_(at.now + prototype.total_) {}
  rule_ptr begin(const schedule_moment& at) const override {
    return std::make_unique<bounded_rule>(*this, at);
  }
  delay next(const schedule_moment& at, random_source& luck) override {
    const delay length = is_over_ ? std::nullopt : inner(at, luck);
    if (!length || at.now + std::max(*length, at.least) > ends_)
      return is_over_ = true, std::nullopt;
    return length;
  }

 private:
  duration total_;
  time_point ends_;
  bool is_over_ = false;
};

class capped_rule final : public one_rule {
 public:
  capped_rule(shared_rule of, duration longest) noexcept
      : one_rule(std::move(of)), longest_(longest) {}
  capped_rule(const capped_rule& prototype, const schedule_moment& at)
      : one_rule(prototype, at), longest_(prototype.longest_) {}
  rule_ptr begin(const schedule_moment& at) const override {
    return std::make_unique<capped_rule>(*this, at);
  }
  delay next(const schedule_moment& at, random_source& luck) override {
    const delay length = inner(at, luck);
    return length ? std::min(*length, longest_) : length;
  }

 private:
  duration longest_;
};

enum class pairing : std::uint8_t { both, either, then };

class pair_rule final : public schedule_rule {
 public:
  pair_rule(pairing how, shared_rule a, shared_rule b) noexcept
      : how_(how), a_(std::move(a)), b_(std::move(b)) {}
  pair_rule(const pair_rule& prototype, const schedule_moment& at)
      : how_(prototype.how_), a_(prototype.a_), b_(prototype.b_), first_(a_->begin(at)) {
    if (how_ != pairing::then) second_ = b_->begin(at);
  }
  rule_ptr begin(const schedule_moment& at) const override {
    return std::make_unique<pair_rule>(*this, at);
  }
  delay next(const schedule_moment& at, random_source& luck) override {
    const delay one = first_ ? first_->next(at, luck) : std::nullopt;
    if (!one) first_.reset();
    if (how_ == pairing::then) {
      if (one) return one;
      if (!second_) second_ = b_->begin(at);  // its time begins now
      return second_->next(at, luck);
    }
    const delay other = second_ ? second_->next(at, luck) : std::nullopt;
    if (!other) second_.reset();
    if (how_ == pairing::both) {
      if (one && other) return std::max(*one, *other);
      first_.reset();
      second_.reset();
      return std::nullopt;
    }
    if (one && other) return std::min(*one, *other);
    return one ? one : other;
  }

 private:
  pairing how_;
  shared_rule a_;
  shared_rule b_;
  rule_ptr first_;
  rule_ptr second_;
};

template <class Rule, class... A>
schedule made(A&&... from) {
  return schedule(std::make_shared<const Rule>(std::forward<A>(from)...));
}

}  // namespace

schedule schedule::jittered(jitter kind) const {
  return made<jittered_rule>(rule_, kind == jitter::full ? 0.0 : 0.5, 1.0);
}

schedule schedule::randomized(double part) const {
  need(part >= 0 && part <= 1, "randomized: the part must be from 0 to 1");
  return made<jittered_rule>(rule_, 1 - part, 1 + part);
}

schedule schedule::recurs(std::uint64_t count) const { return made<counted_rule>(rule_, count); }

schedule schedule::up_to(duration total) const {
  need(total >= duration(), "up_to: the time must not be negative");
  return made<bounded_rule>(rule_, total);
}

schedule schedule::capped(duration longest) const {
  need(longest >= duration(), "capped: the longest delay must not be negative");
  return made<capped_rule>(rule_, longest);
}

schedule schedule::then(schedule next) const {
  return made<pair_rule>(pairing::then, rule_, next.rule_);
}

schedule operator&(schedule a, schedule b) {
  return made<pair_rule>(pairing::both, a.rule_, b.rule_);
}

schedule operator|(schedule a, schedule b) {
  return made<pair_rule>(pairing::either, a.rule_, b.rule_);
}

schedule fixed(duration length) {
  need(length >= duration(), "fixed: the delay must not be negative");
  return made<fixed_rule>(length);
}

schedule exponential(duration first, duration longest, double factor) {
  need(first > duration() && longest > duration() && factor >= 1 && factor <= 1e9,
       "exponential: the delays must be above 0, and the factor from 1 to 1e9");
  return made<exponential_rule>(first, longest, factor);
}

schedule fibonacci(duration first, duration longest) {
  need(first > duration() && longest > duration(), "fibonacci: the delays must be above 0");
  return made<fibonacci_rule>(first, longest);
}

schedule decorrelated(duration first, duration longest) {
  need(first > duration() && longest >= first,
       "decorrelated: the first delay must be above 0, and the longest not shorter");
  return made<decorrelated_rule>(first, longest);
}

schedule recurs(std::uint64_t count) { return fixed(duration()).recurs(count); }

schedule cron(std::string_view expression) {
  return made<cron_rule>(value_or_raise(cron_times::parse(expression)));
}

}  // namespace weir
