#include <weir/apps/file_guard.hpp>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace weir::file_guard_test {
namespace {

TEST(file_guard, says_what_to_do_when_others_can_read) {
  std::string folder = ::testing::TempDir() + "weir-guard-XXXXXX";
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  const std::string file = folder + "/secret";
  std::ofstream(file) << "x";
  const auto file_advice = [&](mode_t mode) {
    ::chmod(file.c_str(), mode);
    return loose_file_advice(file);
  };
  EXPECT_EQ(file_advice(0600), "");
  EXPECT_EQ(file_advice(0640), "") << "a group may share a secret";
  EXPECT_EQ(file_advice(0644), "chmod 600 " + file);
  EXPECT_EQ(file_advice(0660), "chmod 600 " + file);
  EXPECT_EQ(loose_folder_advice(folder), "");
  ::chmod(folder.c_str(), 0750);
  EXPECT_EQ(loose_folder_advice(folder), "chmod 700 " + folder);
  ::chmod(folder.c_str(), 01777);
  EXPECT_EQ(loose_folder_advice(folder), "give --data a folder that is the server's own");
  EXPECT_EQ(loose_folder_advice("/"), "give --data a folder that is the server's own");
  std::filesystem::remove_all(folder);
  EXPECT_EQ(loose_file_advice(file), "") << "nothing is there";
  EXPECT_EQ(loose_file_advice(""), "") << "none was given";
}

}  // namespace
}  // namespace weir::file_guard_test
