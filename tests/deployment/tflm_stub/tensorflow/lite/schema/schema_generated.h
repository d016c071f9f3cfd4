#ifndef TFLM_STUB_SCHEMA_GENERATED_H_
#define TFLM_STUB_SCHEMA_GENERATED_H_

#include <cstdint>

namespace tflite {

struct Model;
struct Operator;

enum BuiltinOperator : std::int32_t {};

// The offset of the root table stands at the beginning.
inline const Model* GetModel(const void* buffer) {
  const auto* const bytes = static_cast<const unsigned char*>(buffer);
  return reinterpret_cast<const Model*>(bytes + (bytes[0] | bytes[1] << 8 | bytes[2] << 16 | bytes[3] << 24));
}

}  // namespace tflite

#endif  // TFLM_STUB_SCHEMA_GENERATED_H_
