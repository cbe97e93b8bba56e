// The secret of a data folder: ids and receipts are signed with it, and keys are remembered by
// digests that depend on it. The hard idea: a folder that holds data never gets a new one, for with
// it all ids, receipts and keys that were given out would be unknown, and work be done twice.
#pragma once

#include <weir/base/hash.hpp>
#include <weir/core/task.hpp>

#include <string>

namespace weir {

class file;

/// Reads the secret of `folder` from the file `secret` in it, or draws it when the folder is new.
/// The file is locked, so that two processes never draw one each. Raises `corrupt` when the folder
/// holds data and there is none, or one of another folder, which the file `secret.mark` tells.
task<hash_key> read_secret(std::string folder, file& from);

/// What is wrong with the secret of a folder that holds data, in a sentence; empty: nothing.
/// Changes nothing.
task<std::string> secret_fault(std::string folder);

}  // namespace weir
