// Seeing each frame that is made and freed, for tests of memory.
#pragma once

#include <cstddef>

namespace weir::detail {

/// While one exists, each frame and task header that this thread takes from the pool is asked for:
/// `asked(bytes)` comes before it is given and may throw std::bad_alloc, `asked(-bytes)` after it
/// is back and may not. Scopes nest; the inner one hears. With AddressSanitizer frames are not
/// pooled: there operator new sees them, and this does nothing.
class frames_watched {
 public:
  using listener = void (*)(std::ptrdiff_t bytes);

  explicit frames_watched(listener asked) noexcept;
  frames_watched(const frames_watched&) = delete;
  frames_watched& operator=(const frames_watched&) = delete;
  ~frames_watched();

 private:
  [[maybe_unused]] listener outer_;  // not where frames are not pooled
};

/// True while this thread asks operator new for the memory of a frame that is not pooled. How large
/// a frame is depends on the compiler's options, and so must nothing that is decided by sizes.
bool is_frame_asked_for() noexcept;

}  // namespace weir::detail
