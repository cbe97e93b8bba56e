#include <weir/base/buffer.hpp>

#include <cstring>
#include <new>

namespace weir {

bytes bytes::copy_of(std::string_view text) {
  void* memory = ::operator new(sizeof(buffer_block) + text.size());
  auto* block = new (memory) buffer_block;
  block->release = [](buffer_block* b) noexcept { ::operator delete(b); };
  char* data = static_cast<char*>(memory) + sizeof(buffer_block);
  if (!text.empty()) std::memcpy(data, text.data(), text.size());
  return bytes(data, text.size(), block);
}

}  // namespace weir
