#ifndef TFLM_STUB_MICRO_OP_RESOLVER_H_
#define TFLM_STUB_MICRO_OP_RESOLVER_H_

#include "tensorflow/lite/c/common.h"

namespace tflite {

class MicroOpResolver {
 public:
  virtual const TFLMRegistration* FindOp(const char* op) const = 0;
  virtual ~MicroOpResolver() {}
};

}  // namespace tflite

#endif  // TFLM_STUB_MICRO_OP_RESOLVER_H_
