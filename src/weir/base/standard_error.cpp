#include <weir/base/standard_error.hpp>

#include <unistd.h>

#include <cerrno>

namespace weir {

void write_standard_error(const char* text, std::size_t size) noexcept {
  const int saved = errno;
  while (size != 0) {
    const ssize_t written = ::write(STDERR_FILENO, text, size);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) break;
    text += written;
    size -= static_cast<std::size_t>(written);
  }
  errno = saved;
}

}  // namespace weir
