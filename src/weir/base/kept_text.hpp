// A text that is made when it is first asked for, and then stays where it is.
#pragma once

#include <string>
#include <utility>

namespace weir::detail {

/// What several owners share: whoever asks first makes it.
class kept_text {
 public:
  kept_text() = default;
  kept_text(const kept_text&) = delete;
  kept_text& operator=(const kept_text&) = delete;
  ~kept_text() { drop(); }

  /// Null until one was kept.
  const char* get() const noexcept {
    const std::string* kept = __atomic_load_n(&text_, __ATOMIC_ACQUIRE);
    return kept != nullptr ? kept->c_str() : nullptr;
  }
  /// The text, or the one that another thread kept meanwhile. May raise std::bad_alloc.
  const char* keep(std::string made) {
    auto* mine = new std::string(std::move(made));
    std::string* other = nullptr;
    if (__atomic_compare_exchange_n(&text_, &other, mine, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_ACQUIRE)) {
      return mine->c_str();
    }
    delete mine;
    return other->c_str();
  }
  /// For the only owner, when what the text tells of has changed.
  void drop() noexcept { delete std::exchange(text_, nullptr); }

 private:
  std::string* text_ = nullptr;
};

}  // namespace weir::detail
