#ifndef TFLM_STUB_COMMON_H_
#define TFLM_STUB_COMMON_H_

#include <cstddef>
#include <cstdint>

#ifndef TF_LITE_STATIC_MEMORY
#error "TFLite-Micro's library is built with TF_LITE_STATIC_MEMORY; so must be what uses it"
#endif

enum TfLiteStatus { kTfLiteOk = 0, kTfLiteError = 1, kTfLiteAbort = 15 };

union TfLitePtrUnion {
  std::int8_t* int8;
  float* f;
  char* raw;
  void* data;
};

struct TfLiteTensor {
  struct {
    int type;
    void* params;
  } quantization;
  struct {
    float scale;
    std::int32_t zero_point;
  } params;
  TfLitePtrUnion data;
  void* dims;
  std::size_t bytes;
  int type;
  int allocation_type;
  bool is_variable;
};

#define TF_LITE_ENSURE_STATUS(a)  \
  do {                            \
    const TfLiteStatus s = (a);   \
    if (s != kTfLiteOk) return s; \
  } while (0)

#endif  // TFLM_STUB_COMMON_H_
