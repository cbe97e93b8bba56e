// What a crash leaves on a virtual disk.
#include <weir/sim/virtual_disk.hpp>

#include <weir/sim/internal/disk_node.hpp>

#include <cstring>
#include <memory>
#include <vector>

namespace weir {

using namespace detail;

void virtual_disk::drop_unsynced(node& file, crash_loss loss) {
  file.lock = -1;
  const bool keeps_size = loss == crash_loss::some && random_.chance(0.5);
  const std::uint64_t size = keeps_size ? file.size : file.synced_size;
  for (auto& [index, saved] : file.before) {
    disk_page mixed{};
    if (saved.content) mixed = *saved.content;
    if (const auto now = file.pages.find(index);
        loss == crash_loss::some && !saved.is_lost && now != file.pages.end()) {
      for (std::size_t at = 0; at < page_size; at += sector_size) {
        if (random_.chance(0.5)) std::memcpy(&mixed[at], &(*now->second)[at], sector_size);
      }
    }
    file.pages[index] = std::make_unique<disk_page>(mixed);
  }
  file.cut(size);
  file.set_size(size);
  file.before.clear();
  file.synced_size = size;
}

void virtual_disk::collect_files(node& folder, std::vector<node*>& out) {
  for (auto& [name, entry] : folder.entries) {
    if (entry->kind == kind_file) out.push_back(entry.get());
    if (entry->kind == kind_folder) collect_files(*entry, out);
  }
}

void virtual_disk::crash(crash_loss loss) {
  open_.clear();
  live_sockets_.clear();
  if (loss == crash_loss::none) {
    std::vector<node*> files;
    collect_files(*root_, files);
    for (node* file : files) file->lock = -1;
    return;
  }
  // A prefix of the changes that were not synced survives, as a journaling file system has it.
  const std::size_t kept = loss == crash_loss::some ? random_.below(log_.size() + 1) : 0;
  for (std::size_t i = log_.size(); i > kept; --i) {
    for (auto change = log_[i - 1].rbegin(); change != log_[i - 1].rend(); ++change) {
      const node_ref folder = change->folder.lock();
      if (!folder) continue;
      const auto at = folder->entries.find(change->name);
      const node_ref now = at == folder->entries.end() ? nullptr : at->second;
      if (now != change->after) continue;  // a later change of this name is durable
      if (change->before) {
        folder->entries[change->name] = change->before;
        change->before->parent = folder.get();
      } else {
        folder->entries.erase(change->name);
      }
    }
  }
  log_.clear();
  std::vector<node*> files;
  collect_files(*root_, files);
  for (node* file : files) drop_unsynced(*file, loss);
}

}  // namespace weir
