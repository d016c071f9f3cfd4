#ifndef TFLM_STUB_MICRO_MUTABLE_OP_RESOLVER_H_
#define TFLM_STUB_MICRO_MUTABLE_OP_RESOLVER_H_

#include <cstring>

#include "tensorflow/lite/micro/micro_log.h"
#include "tensorflow/lite/micro/micro_op_resolver.h"

// Method and operator, as in TFLite-Micro's header of this name.
#define TFLM_STUB_OPERATORS(OP) \
  OP(AddAbs, ABS) \
  OP(AddAdd, ADD) \
  OP(AddAddN, ADD_N) \
  OP(AddArgMax, ARG_MAX) \
  OP(AddArgMin, ARG_MIN) \
  OP(AddAssignVariable, ASSIGN_VARIABLE) \
  OP(AddAveragePool2D, AVERAGE_POOL_2D) \
  OP(AddBatchMatMul, BATCH_MATMUL) \
  OP(AddBatchToSpaceNd, BATCH_TO_SPACE_ND) \
  OP(AddBroadcastArgs, BROADCAST_ARGS) \
  OP(AddBroadcastTo, BROADCAST_TO) \
  OP(AddCallOnce, CALL_ONCE) \
  OP(AddCast, CAST) \
  OP(AddCeil, CEIL) \
  OP(AddConcatenation, CONCATENATION) \
  OP(AddConv2D, CONV_2D) \
  OP(AddCos, COS) \
  OP(AddCumSum, CUMSUM) \
  OP(AddDepthwiseConv2D, DEPTHWISE_CONV_2D) \
  OP(AddDepthToSpace, DEPTH_TO_SPACE) \
  OP(AddDequantize, DEQUANTIZE) \
  OP(AddDiv, DIV) \
  OP(AddElu, ELU) \
  OP(AddEmbeddingLookup, EMBEDDING_LOOKUP) \
  OP(AddEqual, EQUAL) \
  OP(AddExp, EXP) \
  OP(AddExpandDims, EXPAND_DIMS) \
  OP(AddFill, FILL) \
  OP(AddFloor, FLOOR) \
  OP(AddFloorDiv, FLOOR_DIV) \
  OP(AddFloorMod, FLOOR_MOD) \
  OP(AddFullyConnected, FULLY_CONNECTED) \
  OP(AddGather, GATHER) \
  OP(AddGatherNd, GATHER_ND) \
  OP(AddGreater, GREATER) \
  OP(AddGreaterEqual, GREATER_EQUAL) \
  OP(AddHardSwish, HARD_SWISH) \
  OP(AddIf, IF) \
  OP(AddL2Normalization, L2_NORMALIZATION) \
  OP(AddL2Pool2D, L2_POOL_2D) \
  OP(AddLeakyRelu, LEAKY_RELU) \
  OP(AddLess, LESS) \
  OP(AddLessEqual, LESS_EQUAL) \
  OP(AddLog, LOG) \
  OP(AddLogicalAnd, LOGICAL_AND) \
  OP(AddLogicalNot, LOGICAL_NOT) \
  OP(AddLogicalOr, LOGICAL_OR) \
  OP(AddLogistic, LOGISTIC) \
  OP(AddLogSoftmax, LOG_SOFTMAX) \
  OP(AddMaximum, MAXIMUM) \
  OP(AddMaxPool2D, MAX_POOL_2D) \
  OP(AddMean, MEAN) \
  OP(AddMinimum, MINIMUM) \
  OP(AddMirrorPad, MIRROR_PAD) \
  OP(AddMul, MUL) \
  OP(AddNeg, NEG) \
  OP(AddNotEqual, NOT_EQUAL) \
  OP(AddPack, PACK) \
  OP(AddPad, PAD) \
  OP(AddPadV2, PADV2) \
  OP(AddPrelu, PRELU) \
  OP(AddQuantize, QUANTIZE) \
  OP(AddReadVariable, READ_VARIABLE) \
  OP(AddReduceMax, REDUCE_MAX) \
  OP(AddReduceMin, REDUCE_MIN) \
  OP(AddRelu, RELU) \
  OP(AddRelu6, RELU6) \
  OP(AddReshape, RESHAPE) \
  OP(AddResizeBilinear, RESIZE_BILINEAR) \
  OP(AddResizeNearestNeighbor, RESIZE_NEAREST_NEIGHBOR) \
  OP(AddReverseV2, REVERSE_V2) \
  OP(AddRound, ROUND) \
  OP(AddRsqrt, RSQRT) \
  OP(AddSelectV2, SELECT_V2) \
  OP(AddShape, SHAPE) \
  OP(AddSin, SIN) \
  OP(AddSlice, SLICE) \
  OP(AddSoftmax, SOFTMAX) \
  OP(AddSpaceToBatchNd, SPACE_TO_BATCH_ND) \
  OP(AddSpaceToDepth, SPACE_TO_DEPTH) \
  OP(AddSplit, SPLIT) \
  OP(AddSplitV, SPLIT_V) \
  OP(AddSqrt, SQRT) \
  OP(AddSquare, SQUARE) \
  OP(AddSquaredDifference, SQUARED_DIFFERENCE) \
  OP(AddSqueeze, SQUEEZE) \
  OP(AddStridedSlice, STRIDED_SLICE) \
  OP(AddSub, SUB) \
  OP(AddSum, SUM) \
  OP(AddSvdf, SVDF) \
  OP(AddTanh, TANH) \
  OP(AddTranspose, TRANSPOSE) \
  OP(AddTransposeConv, TRANSPOSE_CONV) \
  OP(AddUnidirectionalSequenceLSTM, UNIDIRECTIONAL_SEQUENCE_LSTM) \
  OP(AddUnpack, UNPACK) \
  OP(AddVarHandle, VAR_HANDLE) \
  OP(AddWhile, WHILE) \
  OP(AddZerosLike, ZEROS_LIKE)

namespace tflite {

#define TFLM_STUB_REGISTER(method, op) \
  inline TFLMRegistration Register_##op() { return {#op}; }
TFLM_STUB_OPERATORS(TFLM_STUB_REGISTER)
#undef TFLM_STUB_REGISTER

// Kernels for one type of numbers, of those headers that the resolver's header includes.
#define TFLM_STUB_TYPED(kernel) \
  inline TFLMRegistration Register_##kernel() { return {#kernel}; }
TFLM_STUB_TYPED(ADD_INT16)
TFLM_STUB_TYPED(ADD_INT8)
TFLM_STUB_TYPED(AVERAGE_POOL_2D_INT16)
TFLM_STUB_TYPED(AVERAGE_POOL_2D_INT8)
TFLM_STUB_TYPED(BATCH_MATMUL_INT16)
TFLM_STUB_TYPED(BATCH_MATMUL_INT8)
TFLM_STUB_TYPED(CONV_2D_INT16)
TFLM_STUB_TYPED(CONV_2D_INT8)
TFLM_STUB_TYPED(DEPTHWISE_CONV_2D_INT16)
TFLM_STUB_TYPED(DEPTHWISE_CONV_2D_INT8)
TFLM_STUB_TYPED(FULLY_CONNECTED_INT16)
TFLM_STUB_TYPED(FULLY_CONNECTED_INT8)
TFLM_STUB_TYPED(MAX_POOL_2D_INT16)
TFLM_STUB_TYPED(MAX_POOL_2D_INT8)
TFLM_STUB_TYPED(MUL_INT8)
TFLM_STUB_TYPED(SOFTMAX_INT16)
TFLM_STUB_TYPED(SOFTMAX_INT8)
TFLM_STUB_TYPED(SVDF_INT8)
TFLM_STUB_TYPED(TRANSPOSE_CONV_INT8)
TFLM_STUB_TYPED(UNIDIRECTIONAL_SEQUENCE_LSTM_INT8)
#undef TFLM_STUB_TYPED

template <unsigned int tOpCount>
class MicroMutableOpResolver : public MicroOpResolver {
 public:
#define TFLM_STUB_ADD(method, op)                                                    \
  TfLiteStatus method(const TFLMRegistration& registration = Register_##op()) { \
    return AddBuiltin(#op, registration);                                            \
  }
  TFLM_STUB_OPERATORS(TFLM_STUB_ADD)
#undef TFLM_STUB_ADD

  const TFLMRegistration* FindOp(const char* op) const override {
    for (unsigned int i = 0; i < length_; ++i) {
      if (std::strcmp(names_[i], op) == 0) return &registrations_[i];
    }
    return nullptr;
  }

 private:
  TfLiteStatus AddBuiltin(const char* op, const TFLMRegistration& registration) {
    if (FindOp(op) != nullptr || length_ >= tOpCount) {
      MicroPrintf("Couldn't register builtin op %s, resolver size is too small (%u).", op, tOpCount);
      return kTfLiteError;
    }
    names_[length_] = op;
    registrations_[length_++] = registration;
    return kTfLiteOk;
  }

  const char* names_[tOpCount];
  TFLMRegistration registrations_[tOpCount];
  unsigned int length_ = 0;
};

}  // namespace tflite

#endif  // TFLM_STUB_MICRO_MUTABLE_OP_RESOLVER_H_
