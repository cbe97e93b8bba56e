// What a virtual disk keeps of a file or folder: its content as it is seen now, and as it is on the
// platter.
#pragma once

#include <weir/sim/virtual_disk.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>

namespace weir {

namespace detail {

using disk_page = std::array<char, virtual_disk::page_size>;

enum node_kind : int { kind_file, kind_folder, kind_socket };

struct saved_page {
  std::unique_ptr<disk_page> content;  // null: zeros
  bool is_lost = false;  // a failed sync forgot it: only writing it again makes it durable
};

}  // namespace detail

struct virtual_disk::node {
  using page = detail::disk_page;

  int kind = detail::kind_file;
  std::uint64_t id = 0;
  std::int64_t modified_wall_ns = 0;
  std::shared_ptr<std::uint64_t> used;

  std::uint64_t size = 0;
  std::map<std::uint64_t, std::unique_ptr<page>> pages;  // absent: zeros
  std::uint64_t synced_size = 0;
  std::map<std::uint64_t, detail::saved_page> before;  // (1)
  io_handle lock = -1;
  std::set<std::uint64_t> broken;  // pages that can't be read

  std::map<std::string, node_ref> entries;
  node* parent = nullptr;  // the folder of its name; null: no name leads to it, or it is the root

  ~node() { *used -= size; }
  void set_size(std::uint64_t to) noexcept {
    *used += to - size;
    size = to;
  }
  void save(std::uint64_t index) {
    const auto [at, is_new] = before.try_emplace(index);
    at->second.is_lost = false;
    if (!is_new) return;
    if (const auto found = pages.find(index); found != pages.end()) {
      at->second.content = std::make_unique<page>(*found->second);
    }
  }
  page& writable_page(std::uint64_t index) {
    save(index);
    auto& at = pages[index];
    if (!at) at = std::make_unique<page>();
    return *at;
  }
  void write(std::string_view data, std::uint64_t offset) {
    while (!data.empty()) {
      const std::uint64_t in_page = offset % page_size;
      const std::size_t count = std::min<std::size_t>(data.size(), page_size - in_page);
      std::memcpy(writable_page(offset / page_size).data() + in_page, data.data(), count);
      data.remove_prefix(count);
      offset += count;
    }
  }
  void read(char* into, std::size_t count, std::uint64_t offset) const {
    while (count != 0) {
      const std::uint64_t in_page = offset % page_size;
      const std::size_t part = std::min<std::size_t>(count, page_size - in_page);
      const auto found = pages.find(offset / page_size);
      if (found == pages.end()) {
        std::memset(into, 0, part);
      } else {
        std::memcpy(into, found->second->data() + in_page, part);
      }
      into += part;
      offset += part;
      count -= part;
    }
  }
  // Zeros all from `from` on, so that growing again shows zeros.
  void cut(std::uint64_t from) {
    if (from % page_size != 0 && pages.contains(from / page_size)) {
      page& last = writable_page(from / page_size);
      std::fill(last.begin() + static_cast<std::ptrdiff_t>(from % page_size), last.end(), '\0');
    }
    const std::uint64_t first = (from + page_size - 1) / page_size;
    for (auto at = pages.lower_bound(first); at != pages.end(); at = pages.erase(at)) {
      save(at->first);
    }
  }
};

}  // namespace weir
