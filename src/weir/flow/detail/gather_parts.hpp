// The futures that are gathered into one, and the promise that listens to them. The hard idea: the
// values stay where they are until they are needed, so each future costs a listener and no more.
#pragma once

#include <weir/core/combine.hpp>
#include <weir/flow/future.hpp>

#include <atomic>
#include <cstddef>
#include <exception>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace weir {

namespace detail {

class gather_core;

/// One of the futures.
struct gather_part final : settle_listener {
  gather_core* whole = nullptr;
  std::size_t index = 0;
  reading how = reading::only;
  gather_part() = default;
  gather_part(gather_part&& other) noexcept  // only before it listens
      : whole(other.whole), index(other.index), how(other.how) {
    source = std::exchange(other.source, nullptr);
  }
  ~gather_part() {
    if (source) source->drop();
  }
  void source_settled() noexcept override;
};

/// A promise that is settled by several others.
class gather_core : public promise_core {
 public:
  void begin(gather_part* parts, std::size_t count) noexcept;
  void note_settled(gather_part& which) noexcept;

 protected:
  using promise_core::promise_core;
  /// Called for each, on any thread, also at once: may claim and settle.
  virtual void one_settled(gather_part& which) noexcept = 0;
  /// Called once, after all of those.
  virtual void all_were_settled() noexcept = 0;

 private:
  void note_part() noexcept;
  /// Once it is decided: futures that stay pending for long must not keep it.
  void leave_pending() noexcept;

  gather_part* parts_ = nullptr;
  std::size_t count_ = 0;
  std::atomic<std::size_t> left_{0};
};

/// One error_group of the failures of `parts`, in their order.
std::exception_ptr group_of(gather_part* parts, std::size_t count) noexcept;

template <class T>
stored_t<T> value_of_part(gather_part& part) {
  if (part.how == reading::only) return std::move(value_of<T>(*part.source));
  if constexpr (std::is_copy_constructible_v<stored_t<T>>) {
    return std::as_const(value_of<T>(*part.source));
  } else {
    std::unreachable();  // a shared_future of it can't be gathered: see part_of
  }
}
template <class T>
selected<T> outcome_of_part(gather_part& part) {
  selected<T> one;
  if (part.source->phase() == settled_as::rejected) {
    one.fail(part.source->hear_failure());
  } else {
    one.emplace(value_of_part<T>(part));
  }
  return one;
}

/// fulfil() with what make() gives, or rejects with what it throws.
template <class T, class Make>
void fulfil_with(promise_core& which, Make make) noexcept {
  try {
    ::new (which.value()) stored_t<T>(make());
  } catch (...) {
    return which.settle_rejected(std::current_exception());
  }
  which.settle_fulfilled();
}

template <class F>
void set_part(gather_part& part, std::size_t index, F&& from) noexcept {
  using given = std::remove_cvref_t<F>;
  static_assert(given::how == reading::only ||
                    std::is_copy_constructible_v<stored_t<typename given::value_type>>,
                "the value of a shared_future is copied here");
  part.index = index;
  part.how = given::how;
  part.source = given(std::forward<F>(from)).release();
  WEIR_ASSERT(part.source && "an empty future is gathered");
}

/// Parts of futures that are known to the compiler, and of a vector of them. `collect` calls
/// f<T>(part) for each and gives tuple or vector of what it returns; `pick` gives one of R.
template <class... F>
struct tuple_parts {
  template <template <class> class Of>
  using gathered = std::tuple<Of<typename F::value_type>...>;
  static constexpr bool is_uniform = [] {
    using first = std::tuple_element_t<0, std::tuple<F..., void>>;
    return (std::is_same_v<typename F::value_type, typename first::value_type> && ...);
  }();
  using one_of = typename std::conditional_t<
      is_uniform, std::tuple_element<0, std::tuple<typename F::value_type...>>,
      std::type_identity<std::variant<stored_t<typename F::value_type>...>>>::type;

  explicit tuple_parts(F&&... from) noexcept {
    std::size_t index = 0;
    ((set_part(parts[index], index, std::move(from)), ++index), ...);
  }
  gather_part* data() noexcept { return parts; }
  std::size_t size() const noexcept { return sizeof...(F); }

  template <class Visit>
  auto collect(Visit visit) {
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      return std::tuple { visit.template operator()<typename F::value_type>(parts[I])... };
    }(std::index_sequence_for<F...>{});
  }
  void pick(promise_core& into, gather_part& part) noexcept {
    std::size_t index = 0;
    ((index++ == part.index ? pick_one<typename F::value_type>(into, part) : void()), ...);
  }

 private:
  // Of a variant, by position: types may repeat.
  template <class T>
  void pick_one(promise_core& into, gather_part& part) noexcept {
    if constexpr (is_uniform) {
      fulfil_with<one_of>(into, [&] { return value_of_part<T>(part); });
    } else {
      emplace_at(into, part, std::index_sequence_for<F...>{});
    }
  }
  template <std::size_t... I>
  void emplace_at(promise_core& into, gather_part& part, std::index_sequence<I...>) noexcept {
    const auto emplace = [&]<std::size_t Index, class T>() {
      fulfil_with<one_of>(
          into, [&] { return one_of(std::in_place_index<Index>, value_of_part<T>(part)); });
    };
    ((I == part.index ? emplace.template operator()<I, typename F::value_type>() : void()), ...);
  }
  gather_part parts[sizeof...(F)];
};

template <class F>
struct vector_parts {
  using type = typename F::value_type;
  template <template <class> class Of>
  using gathered = std::vector<Of<type>>;
  using one_of = type;

  explicit vector_parts(std::vector<F> from) : parts(from.size()) {
    for (std::size_t i = 0; i < from.size(); ++i) set_part(parts[i], i, std::move(from[i]));
  }
  gather_part* data() noexcept { return parts.data(); }
  std::size_t size() const noexcept { return parts.size(); }
  template <class Visit>
  auto collect(Visit visit) {
    std::vector<decltype(visit.template operator()<type>(parts[0]))> all;
    all.reserve(parts.size());
    for (gather_part& part : parts) all.push_back(visit.template operator()<type>(part));
    return all;
  }
  void pick(promise_core& into, gather_part& part) noexcept {
    fulfil_with<type>(into, [&] { return value_of_part<type>(part); });
  }
  std::vector<gather_part> parts;
};

}  // namespace detail
}  // namespace weir
