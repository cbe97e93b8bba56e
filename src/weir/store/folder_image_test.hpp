// For tests of a damaged journal: what is on the virtual disk, to be changed and opened again and
// again.
#pragma once

#include <weir/sim/virtual_world.hpp>

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace weir {

/// The files of /data by name.
using folder_image = std::map<std::string, std::string>;

inline folder_image image_of(virtual_world& world) {
  std::vector<std::string> names;
  folder_image image;
  EXPECT_EQ(world.disk().list_dir("/data", names, false), 0);
  for (const std::string& name : names) {
    image[name] = *world.disk().content_of(("/data/" + name).c_str());
  }
  return image;
}

inline void put_image(virtual_world& world, const folder_image& image) {
  EXPECT_EQ(world.disk().make_dir("/data"), 0);
  for (const auto& [name, content] : image) {
    EXPECT_EQ(world.disk().put_file(("/data/" + name).c_str(), content), 0);
  }
}

}  // namespace weir
