// What the library of the Python package tflite_micro lacks: its inline functions.
#include <cstdlib>
#include <cstring>

#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/system_setup.h"

namespace tflite {

void InitializeTarget() {}

namespace micro {

class MicroAllocator {
 public:
  std::size_t used_bytes() const;
};

// The interpreter keeps the model, the resolver, a context of pointers to functions and to itself, and then a reference
// to its allocator, which lies in the arena like all tensors.
std::size_t MicroInterpreter::arena_used_bytes() const {
  const auto tensor = reinterpret_cast<std::intptr_t>(const_cast<MicroInterpreter*>(this)->output(0)->data.data);
  const auto own = reinterpret_cast<std::intptr_t>(members_);
  for (std::size_t offset = 2 * sizeof(void*); offset < sizeof(members_); offset += sizeof(void*)) {
    const MicroAllocator* found;
    std::memcpy(&found, members_ + offset, sizeof(found));
    const auto place = reinterpret_cast<std::intptr_t>(found);
    const bool inside = place >= own && place < own + static_cast<std::intptr_t>(sizeof(members_));
    if (!inside && std::abs(place - tensor) < 1 << 20) return found->used_bytes();
  }
  return 0;
}

}  // namespace micro
}  // namespace tflite
