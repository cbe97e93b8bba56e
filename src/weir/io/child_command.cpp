#include <weir/io/child_command.hpp>

#include <weir/io/file.hpp>
#include <weir/io/pipe_ends.hpp>

#include <fmt/format.h>
#include <string.h>

namespace weir {

child_stream child_stream::of(const file& open) noexcept { return {source::given, open.handle()}; }
child_stream child_stream::of(const pipe_reader& from) noexcept {
  return {source::given, from.handle()};
}
child_stream child_stream::of(const pipe_writer& to) noexcept {
  return {source::given, to.handle()};
}

std::string exit_status::text() const {
  if (signal == 0) return fmt::format("exit code {}", code);
  const char* meaning = ::sigdescr_np(signal);
  return fmt::format("killed by signal {} ({})", signal, meaning ? meaning : "unknown");
}

}  // namespace weir
