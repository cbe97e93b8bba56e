// Several futures as one: all, all_settled, any, race. The hard idea: nobody waits here. The new
// future's own block listens to each of the given ones, and whoever settles the one that decides,
// on whatever thread, settles it at once. For tasks there are when_all, race, first_success and
// all_settled of <weir/core/combine.hpp>, which cancel losers; a future can't cancel its producer.
//
//                 fulfilled with                      rejected
//   all           all values                          at the first error, with it
//   all_settled   what each came to (selected<T>)     never
//   any           the first value                     when all have failed, with one error_group
//   race          the first outcome, value or error   by the first outcome
//
// Of futures of one type, any and race give that type, of several a std::variant by position. The
// given futures are taken, and those that are pending when the new one is decided are let go; what
// else they come to is known and passes unheard.
#pragma once

#include <weir/flow/detail/gather_parts.hpp>
#include <weir/flow/promise.hpp>

#include <cstdint>
#include <exception>
#include <source_location>
#include <utility>
#include <vector>

namespace weir {

namespace detail {

enum class gather_rule : std::uint8_t { all, all_settled, any, race };

template <gather_rule Rule, class Parts>
struct gather_result {
  using type = typename Parts::one_of;
};
template <class Parts>
struct gather_result<gather_rule::all, Parts> {
  using type = typename Parts::template gathered<stored_t>;
};
template <class Parts>
struct gather_result<gather_rule::all_settled, Parts> {
  using type = typename Parts::template gathered<selected>;
};

template <gather_rule Rule, class Parts>
class gather_promise final
    : public promise_value<typename gather_result<Rule, Parts>::type, gather_core> {
  using type = typename gather_result<Rule, Parts>::type;
  using base = promise_value<type, gather_core>;

 public:
  gather_promise(std::source_location place, Parts parts) : base(place), parts_(std::move(parts)) {}
  void start() noexcept { this->begin(parts_.data(), parts_.size()); }

 private:
  void one_settled(gather_part& part) noexcept override {
    const bool is_failed = part.source->phase() == settled_as::rejected;
    if (is_failed) part.source->note_heard();
    if constexpr (Rule == gather_rule::all_settled) return;
    if (is_failed && Rule != gather_rule::any) {
      if (this->claim()) this->settle_rejected(part.source->hear_failure());
    } else if constexpr (Rule == gather_rule::any || Rule == gather_rule::race) {
      if (!is_failed && this->claim()) parts_.pick(*this, part);
    }
  }
  void all_were_settled() noexcept override {
    if constexpr (Rule != gather_rule::race) {
      if (this->claim()) settle_with_all();
    }
  }
  void settle_with_all() noexcept {
    if constexpr (Rule == gather_rule::any) {
      this->settle_rejected(group_of(parts_.data(), parts_.size()));
    } else if constexpr (Rule == gather_rule::all) {
      fulfil_with<type>(*this, [this] {
        return parts_.collect([]<class T>(gather_part& part) { return value_of_part<T>(part); });
      });
    } else {
      fulfil_with<type>(*this, [this] {
        return parts_.collect([]<class T>(gather_part& part) { return outcome_of_part<T>(part); });
      });
    }
  }

  Parts parts_;
};

template <gather_rule Rule, class Parts>
auto gather(Parts parts) {
  using type = typename gather_result<Rule, Parts>::type;
  if constexpr (Rule == gather_rule::any || Rule == gather_rule::race) {
    if (parts.size() == 0)
      return rejected_future<type>(error(errc::invalid_argument, "the first of no futures"));
  }
  const auto place =
      parts.size() == 0 ? std::source_location::current() : parts.data()->source->place();
  auto* made = new gather_promise<Rule, Parts>(place, std::move(parts));
  future<type> given{core_handle(made)};
  made->start();
  return given;
}
template <gather_rule Rule, class... F>
auto gather_of(F&&... from) {
  return gather<Rule>(tuple_parts<F...>(std::move(from)...));
}

template <class F>
concept any_future = is_future<F>;

}  // namespace detail

/// `auto both = all(load_user(id), load_cart(id)); auto [user, cart] = co_await both;`
template <detail::any_future... F>
auto all(F... futures) {
  return detail::gather_of<detail::gather_rule::all>(std::move(futures)...);
}
template <detail::any_future F>
auto all(std::vector<F> futures) {
  return detail::gather<detail::gather_rule::all>(detail::vector_parts<F>(std::move(futures)));
}

/// What each came to, once all have ended.
template <detail::any_future... F>
auto all_settled(F... futures) {
  return detail::gather_of<detail::gather_rule::all_settled>(std::move(futures)...);
}
template <detail::any_future F>
auto all_settled(std::vector<F> futures) {
  return detail::gather<detail::gather_rule::all_settled>(
      detail::vector_parts<F>(std::move(futures)));
}

/// The first value; errors count only when there is nothing else.
template <detail::any_future... F>
auto any(F... futures) {
  return detail::gather_of<detail::gather_rule::any>(std::move(futures)...);
}
template <detail::any_future F>
auto any(std::vector<F> futures) {
  return detail::gather<detail::gather_rule::any>(detail::vector_parts<F>(std::move(futures)));
}

/// The first outcome, value or error.
template <detail::any_future... F>
auto race(F... futures) {
  return detail::gather_of<detail::gather_rule::race>(std::move(futures)...);
}
template <detail::any_future F>
auto race(std::vector<F> futures) {
  return detail::gather<detail::gather_rule::race>(detail::vector_parts<F>(std::move(futures)));
}

}  // namespace weir
