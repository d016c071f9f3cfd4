#ifndef TFLM_STUB_PAD_H_
#define TFLM_STUB_PAD_H_

#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"

namespace tflite {
namespace micro {

TFLM_STUB_TYPED(PAD, INT8)

}  // namespace micro

using micro::Register_PAD_INT8;

}  // namespace tflite

#endif  // TFLM_STUB_PAD_H_
