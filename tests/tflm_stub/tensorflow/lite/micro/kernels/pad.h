#ifndef TFLM_STUB_PAD_H_
#define TFLM_STUB_PAD_H_

#include "tensorflow/lite/c/common.h"

namespace tflite {

inline TFLMRegistration Register_PAD_INT8() { return {"PAD_INT8"}; }

}  // namespace tflite

#endif  // TFLM_STUB_PAD_H_
