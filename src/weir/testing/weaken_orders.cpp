#include <weir/testing/weaken_orders.hpp>

#include <weir/testing/internal/model_steps.hpp>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <tuple>

namespace weir::model {

namespace {

/// One operation, and its number among those of its function that look the same.
struct site {
  std::string function;
  operation what;
  std::memory_order order;
  std::uint32_t line;
  std::size_t number = 1;
  std::size_t of = 1;

  auto alike() const { return std::tie(function, what, order); }
  bool operator==(const site& other) const {
    return alike() == other.alike() && line == other.line;
  }
};

bool stands_in(const std::source_location& where, std::string_view file) {
  return detail::place_text(where) == fmt::format("{}:{}", file, where.line());
}

std::vector<site> sites_in(std::string_view file, std::span<void (*const)()> bodies,
                           check_options options) {
  options.notes_orders = true;
  std::vector<site> all;
  for (const auto body : bodies) {
    const verdict found = check(options, body);
    EXPECT_TRUE(found.has_passed()) << found.text();
    for (const ordered_operation& one : found.orders) {
      if (!stands_in(one.where, file)) continue;
      const site made{.function = detail::bare_name(one.where),
                      .what = one.what,
                      .order = one.order,
                      .line = one.where.line()};
      if (std::find(all.begin(), all.end(), made) == all.end()) all.push_back(made);
    }
  }
  std::sort(all.begin(), all.end(), [](const site& a, const site& b) { return a.line < b.line; });
  for (site& one : all) {
    one.of = static_cast<std::size_t>(std::count_if(
        all.begin(), all.end(), [&](const site& other) { return other.alike() == one.alike(); }));
    one.number += static_cast<std::size_t>(std::count_if(all.begin(), all.end(), [&](auto& other) {
      return other.alike() == one.alike() && other.line < one.line;
    }));
  }
  return all;
}

std::vector<std::memory_order> weaker_than(const site& one) {
  switch (one.order) {
    case std::memory_order_seq_cst:
      if (one.what == operation::load) return {std::memory_order_acquire};
      if (one.what == operation::store) return {std::memory_order_release};
      return {std::memory_order_acq_rel};
    case std::memory_order_acq_rel:
      return {std::memory_order_acquire, std::memory_order_release};
    default:
      return {std::memory_order_relaxed};
  }
}

bool is_noticed(const weakening& one, std::span<void (*const)()> bodies, check_options options) {
  options.weakened = {one};
  return std::any_of(bodies.begin(), bodies.end(), [&](auto body) {
    const verdict found = check(options, body);
    // A body that never comes to this operation says so, too.
    return !found.failure.empty() && !found.steps.empty();
  });
}

}  // namespace

std::vector<std::string> unnoticed_orders(std::string_view file, std::span<void (*const)()> bodies,
                                          const weaken_options& options) {
  std::vector<std::string> unnoticed;
  std::uint64_t noticed = 0;
  for (const site& one : sites_in(file, bodies, options.check)) {
    for (const std::memory_order to : weaker_than(one)) {
      const weakening tried{.function = one.function,
                            .what = one.what,
                            .from = one.order,
                            .to = to,
                            .line = one.line};
      if (is_noticed(tried, bodies, options.check)) {
        ++noticed;
        continue;
      }
      std::string text = fmt::format("{}: {} {} as {}", one.function, detail::name(one.what),
                                     detail::name(one.order), detail::name(to));
      if (one.of > 1) text += fmt::format(", number {} of {}", one.number, one.of);
      unnoticed.push_back(std::move(text));
    }
  }
  EXPECT_GE(noticed, options.least) << "of the orders in " << file;
  return unnoticed;
}

}  // namespace weir::model
