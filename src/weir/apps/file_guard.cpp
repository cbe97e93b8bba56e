#include <weir/apps/file_guard.hpp>

#include <fmt/format.h>

#include <filesystem>
#include <system_error>

namespace weir {

namespace {

using std::filesystem::perms;

std::string advice(const std::string& path, perms loose, const char* mode) {
  std::error_code failure;
  const std::filesystem::file_status status = std::filesystem::status(path, failure);
  if (path.empty() || failure || !std::filesystem::exists(status)) return {};
  if ((status.permissions() & loose) == perms::none) return {};
  return fmt::format("chmod {} {}", mode, path);
}

}  // namespace

// A group that may read is how services share a secret.
std::string loose_file_advice(const std::string& path) {
  return advice(path, perms::group_write | perms::others_all, "600");
}
std::string loose_folder_advice(const std::string& path) {
  return advice(path, perms::group_all | perms::others_all, "700");
}

}  // namespace weir
