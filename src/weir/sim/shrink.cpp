#include <weir/sim/shrink.hpp>

#include <algorithm>
#include <cstddef>
#include <utility>

namespace weir {

namespace {

class shrinker {
 public:
  shrinker(choice_log from, shrink_trial& trial, std::uint64_t runs_max) noexcept
      : best_(std::move(from)), trial_(trial), runs_max_(runs_max) {}

  choice_log shrunk() {
    take({});
    for (std::size_t kind = 0; kind < choice_kinds; ++kind) {
      drop_kind(static_cast<choice_kind>(kind));
    }
    bool goes_on = true;
    while (goes_on && runs_ < runs_max_) {
      goes_on = drop_pieces();
      goes_on = lower() || goes_on;
    }
    return std::move(best_);
  }
  std::uint64_t runs() const noexcept { return runs_; }

 private:
  // Simpler: fewer exceptions, or as many and lower ones.
  static bool is_simpler(const choice_log& a, const choice_log& b) noexcept {
    if (a.exceptions.size() != b.exceptions.size()) {
      return a.exceptions.size() < b.exceptions.size();
    }
    return std::lexicographical_compare(
        a.exceptions.begin(), a.exceptions.end(), b.exceptions.begin(), b.exceptions.end(),
        [](const choice& x, const choice& y) { return x.value < y.value; });
  }

  bool take(const choice_log& one) {
    if (runs_ >= runs_max_) return false;
    ++runs_;
    choice_log used;
    if (!trial_.fails(one, used) || !is_simpler(used, best_)) return false;
    best_ = std::move(used);
    return true;
  }

  void drop_kind(choice_kind kind) {
    if (best_.count(kind) == 0 || best_.count(kind) == best_.exceptions.size()) return;
    choice_log without;
    for (const choice& one : best_.exceptions) {
      if (one.kind != kind) without.exceptions.push_back(one);
    }
    take(without);
  }

  // Pieces of half the length, a quarter ... one; from the end, since what comes later is changed
  // by what comes before.
  bool drop_pieces() {
    bool has_dropped = false;
    for (std::size_t piece = std::max<std::size_t>(best_.exceptions.size() / 2, 1); piece != 0;
         piece /= 2) {
      std::size_t end = best_.exceptions.size();
      while (end != 0 && runs_ < runs_max_) {
        const std::size_t begin = end > piece ? end - piece : 0;
        choice_log without = best_;
        without.exceptions.erase(without.exceptions.begin() + static_cast<std::ptrdiff_t>(begin),
                                 without.exceptions.begin() + static_cast<std::ptrdiff_t>(end));
        if (take(without)) has_dropped = true;
        end = std::min(begin, best_.exceptions.size());
      }
    }
    return has_dropped;
  }

  bool lower() {
    bool has_lowered = false;
    for (std::size_t i = 0; i < best_.exceptions.size(); ++i) {
      for (std::uint64_t value = 1; value < best_.exceptions[i].value; value *= 2) {
        choice_log lowered = best_;
        lowered.exceptions[i].value = value;
        if (take(lowered)) {
          has_lowered = true;
          break;
        }
        if (value > UINT64_MAX / 2) break;
      }
      if (i < best_.exceptions.size() && best_.exceptions[i].value > 2) {
        choice_log lowered = best_;
        --lowered.exceptions[i].value;
        has_lowered = take(lowered) || has_lowered;
      }
    }
    return has_lowered;
  }

  choice_log best_;
  shrink_trial& trial_;
  std::uint64_t runs_max_;
  std::uint64_t runs_ = 0;
};

}  // namespace

choice_log shrink(choice_log from, shrink_trial& trial, std::uint64_t runs_max,
                  std::uint64_t& runs) {
  shrinker one(std::move(from), trial, runs_max);
  choice_log made = one.shrunk();
  runs += one.runs();
  return made;
}

}  // namespace weir
