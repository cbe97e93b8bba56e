#include <weir/apps/file_guard.hpp>

#include <fmt/format.h>

#include <filesystem>
#include <system_error>

namespace weir {

namespace {

using std::filesystem::file_type;
using std::filesystem::perms;

std::string guard_advice(const std::string& path, file_type wanted, perms loose, const char* mode) {
  std::error_code failure;
  const std::filesystem::file_status status = std::filesystem::status(path, failure);
  if (path.empty() || failure || status.type() != wanted) return {};
  if ((status.permissions() & loose) == perms::none) return {};
  return fmt::format("chmod {} {}", mode, path);
}

/// The root folder, or one like /tmp in which everybody has files: closing it would shut others
/// out.
bool is_everybodys(const std::string& path) {
  std::error_code failure;
  const std::filesystem::path real = std::filesystem::canonical(path, failure);
  if (failure) return false;
  const perms mode = std::filesystem::status(real, failure).permissions();
  return real == real.root_path() || (mode & perms::sticky_bit) != perms::none;
}

}  // namespace

// A group that may read is how services share a secret.
std::string loose_file_advice(const std::string& path) {
  return guard_advice(path, file_type::regular, perms::group_write | perms::others_all, "600");
}
std::string loose_folder_advice(const std::string& path) {
  if (is_everybodys(path)) return "give --data a folder that is the server's own";
  return guard_advice(path, file_type::directory, perms::group_all | perms::others_all, "700");
}

}  // namespace weir
