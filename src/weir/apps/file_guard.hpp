// Who else can read a file of ours.
#pragma once

#include <string>

namespace weir {

/// What to do when other users of the machine can read a secret: "chmod 600 /etc/weir/tokens".
/// Empty when they can't, or when there is no such file.
std::string loose_file_advice(const std::string& path);
/// The same for a folder: "chmod 700 weir-data"; another one, where everybody has files.
std::string loose_folder_advice(const std::string& path);

}  // namespace weir
