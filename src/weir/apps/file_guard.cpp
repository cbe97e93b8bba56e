#include <weir/apps/file_guard.hpp>

#include <fmt/format.h>

#include <filesystem>
#include <system_error>

namespace weir {

namespace {

using std::filesystem::file_type;
using std::filesystem::perms;

std::string advice(const std::string& path, file_type wanted, perms loose, const char* mode) {
  std::error_code failure;
  const std::filesystem::file_status status = std::filesystem::status(path, failure);
  if (path.empty() || failure || status.type() != wanted) return {};
  if ((status.permissions() & loose) == perms::none) return {};
  return fmt::format("chmod {} {}", mode, path);
}

}  // namespace

// A group that may read is how services share a secret.
std::string loose_file_advice(const std::string& path) {
  return advice(path, file_type::regular, perms::group_write | perms::others_all, "600");
}
std::string loose_folder_advice(const std::string& path) {
  return advice(path, file_type::directory, perms::group_all | perms::others_all, "700");
}

}  // namespace weir
