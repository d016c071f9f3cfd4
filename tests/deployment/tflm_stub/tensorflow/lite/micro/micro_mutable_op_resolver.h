#ifndef TFLM_STUB_MICRO_MUTABLE_OP_RESOLVER_H_
#define TFLM_STUB_MICRO_MUTABLE_OP_RESOLVER_H_

#include <cstring>

#include "tensorflow/lite/c/common.h"
#include "tensorflow/lite/micro/micro_log.h"
#include "tensorflow/lite/schema/schema_generated.h"

struct TfLiteContext;
struct TfLiteNode;

// Method, operator, its number in the schema, and the function that reads its options.
#define TFLM_STUB_OPERATORS(OP) \
  OP(AddAbs, ABS, 101, ParseAbs) \
  OP(AddAdd, ADD, 0, ParseAdd) \
  OP(AddAddN, ADD_N, 106, ParseAddN) \
  OP(AddArgMax, ARG_MAX, 56, ParseArgMax) \
  OP(AddArgMin, ARG_MIN, 79, ParseArgMin) \
  OP(AddAssignVariable, ASSIGN_VARIABLE, 144, ParseAssignVariable) \
  OP(AddAveragePool2D, AVERAGE_POOL_2D, 1, ParsePool) \
  OP(AddBatchMatMul, BATCH_MATMUL, 126, ParseBatchMatMul) \
  OP(AddBatchToSpaceNd, BATCH_TO_SPACE_ND, 37, ParseBatchToSpaceNd) \
  OP(AddBroadcastArgs, BROADCAST_ARGS, 145, ParseBroadcastArgs) \
  OP(AddBroadcastTo, BROADCAST_TO, 130, ParseBroadcastTo) \
  OP(AddCallOnce, CALL_ONCE, 129, ParseCallOnce) \
  OP(AddCast, CAST, 53, ParseCast) \
  OP(AddCeil, CEIL, 104, ParseCeil) \
  OP(AddConcatenation, CONCATENATION, 2, ParseConcatenation) \
  OP(AddConv2D, CONV_2D, 3, ParseConv2D) \
  OP(AddCos, COS, 108, ParseCos) \
  OP(AddCumSum, CUMSUM, 128, ParseCumsum) \
  OP(AddDepthwiseConv2D, DEPTHWISE_CONV_2D, 4, ParseDepthwiseConv2D) \
  OP(AddDepthToSpace, DEPTH_TO_SPACE, 5, ParseDepthToSpace) \
  OP(AddDequantize, DEQUANTIZE, 6, ParseDequantize) \
  OP(AddDiv, DIV, 42, ParseDiv) \
  OP(AddDynamicUpdateSlice, DYNAMIC_UPDATE_SLICE, 151, ParseDynamicUpdateSlice) \
  OP(AddElu, ELU, 111, ParseElu) \
  OP(AddEmbeddingLookup, EMBEDDING_LOOKUP, 7, ParseEmbeddingLookup) \
  OP(AddEqual, EQUAL, 71, ParseEqual) \
  OP(AddExp, EXP, 47, ParseExp) \
  OP(AddExpandDims, EXPAND_DIMS, 70, ParseExpandDims) \
  OP(AddFill, FILL, 94, ParseFill) \
  OP(AddFloor, FLOOR, 8, ParseFloor) \
  OP(AddFloorDiv, FLOOR_DIV, 90, ParseFloorDiv) \
  OP(AddFloorMod, FLOOR_MOD, 95, ParseFloorMod) \
  OP(AddFullyConnected, FULLY_CONNECTED, 9, ParseFullyConnected) \
  OP(AddGather, GATHER, 36, ParseGather) \
  OP(AddGatherNd, GATHER_ND, 107, ParseGatherNd) \
  OP(AddGreater, GREATER, 61, ParseGreater) \
  OP(AddGreaterEqual, GREATER_EQUAL, 62, ParseGreaterEqual) \
  OP(AddHardSwish, HARD_SWISH, 117, ParseHardSwish) \
  OP(AddIf, IF, 118, ParseIf) \
  OP(AddL2Normalization, L2_NORMALIZATION, 11, ParseL2Normalization) \
  OP(AddL2Pool2D, L2_POOL_2D, 12, ParsePool) \
  OP(AddLeakyRelu, LEAKY_RELU, 98, ParseLeakyRelu) \
  OP(AddLess, LESS, 58, ParseLess) \
  OP(AddLessEqual, LESS_EQUAL, 63, ParseLessEqual) \
  OP(AddLog, LOG, 73, ParseLog) \
  OP(AddLogicalAnd, LOGICAL_AND, 86, ParseLogicalAnd) \
  OP(AddLogicalNot, LOGICAL_NOT, 87, ParseLogicalNot) \
  OP(AddLogicalOr, LOGICAL_OR, 84, ParseLogicalOr) \
  OP(AddLogistic, LOGISTIC, 14, ParseLogistic) \
  OP(AddLogSoftmax, LOG_SOFTMAX, 50, ParseLogSoftmax) \
  OP(AddMaximum, MAXIMUM, 55, ParseMaximum) \
  OP(AddMaxPool2D, MAX_POOL_2D, 17, ParsePool) \
  OP(AddMean, MEAN, 40, ParseReducer) \
  OP(AddMinimum, MINIMUM, 57, ParseMinimum) \
  OP(AddMirrorPad, MIRROR_PAD, 100, ParseMirrorPad) \
  OP(AddMul, MUL, 18, ParseMul) \
  OP(AddNeg, NEG, 59, ParseNeg) \
  OP(AddNotEqual, NOT_EQUAL, 72, ParseNotEqual) \
  OP(AddPack, PACK, 83, ParsePack) \
  OP(AddPad, PAD, 34, ParsePad) \
  OP(AddPadV2, PADV2, 60, ParsePadV2) \
  OP(AddPrelu, PRELU, 54, ParsePrelu) \
  OP(AddQuantize, QUANTIZE, 114, ParseQuantize) \
  OP(AddReadVariable, READ_VARIABLE, 143, ParseReadVariable) \
  OP(AddReduceMax, REDUCE_MAX, 82, ParseReducer) \
  OP(AddReduceMin, REDUCE_MIN, 89, ParseReducer) \
  OP(AddRelu, RELU, 19, ParseRelu) \
  OP(AddRelu6, RELU6, 21, ParseRelu6) \
  OP(AddReshape, RESHAPE, 22, ParseReshape) \
  OP(AddResizeBilinear, RESIZE_BILINEAR, 23, ParseResizeBilinear) \
  OP(AddResizeNearestNeighbor, RESIZE_NEAREST_NEIGHBOR, 97, ParseResizeNearestNeighbor) \
  OP(AddReverseV2, REVERSE_V2, 105, ParseReverseV2) \
  OP(AddRound, ROUND, 116, ParseRound) \
  OP(AddRsqrt, RSQRT, 76, ParseRsqrt) \
  OP(AddSelectV2, SELECT_V2, 123, ParseSelectV2) \
  OP(AddShape, SHAPE, 77, ParseShape) \
  OP(AddSin, SIN, 66, ParseSin) \
  OP(AddSlice, SLICE, 65, ParseSlice) \
  OP(AddSoftmax, SOFTMAX, 25, ParseSoftmax) \
  OP(AddSpaceToBatchNd, SPACE_TO_BATCH_ND, 38, ParseSpaceToBatchNd) \
  OP(AddSpaceToDepth, SPACE_TO_DEPTH, 26, ParseSpaceToDepth) \
  OP(AddSplit, SPLIT, 49, ParseSplit) \
  OP(AddSplitV, SPLIT_V, 102, ParseSplitV) \
  OP(AddSqrt, SQRT, 75, ParseSqrt) \
  OP(AddSquare, SQUARE, 92, ParseSquare) \
  OP(AddSquaredDifference, SQUARED_DIFFERENCE, 99, ParseSquaredDifference) \
  OP(AddSqueeze, SQUEEZE, 43, ParseSqueeze) \
  OP(AddStridedSlice, STRIDED_SLICE, 45, ParseStridedSlice) \
  OP(AddSub, SUB, 41, ParseSub) \
  OP(AddSum, SUM, 74, ParseReducer) \
  OP(AddSvdf, SVDF, 27, ParseSvdf) \
  OP(AddTanh, TANH, 28, ParseTanh) \
  OP(AddTranspose, TRANSPOSE, 39, ParseTranspose) \
  OP(AddTransposeConv, TRANSPOSE_CONV, 67, ParseTransposeConv) \
  OP(AddUnidirectionalSequenceLSTM, UNIDIRECTIONAL_SEQUENCE_LSTM, 44, ParseUnidirectionalSequenceLSTM) \
  OP(AddUnpack, UNPACK, 88, ParseUnpack) \
  OP(AddVarHandle, VAR_HANDLE, 142, ParseVarHandle) \
  OP(AddWhile, WHILE, 119, ParseWhile) \
  OP(AddZerosLike, ZEROS_LIKE, 93, ParseZerosLike)

// These functions, once each.
#define TFLM_STUB_PARSERS(P) \
  P(ParseAbs) P(ParseAdd) P(ParseAddN) P(ParseArgMax) P(ParseArgMin) P(ParseAssignVariable) \
  P(ParseBatchMatMul) P(ParseBatchToSpaceNd) P(ParseBroadcastArgs) P(ParseBroadcastTo) \
  P(ParseCallOnce) P(ParseCast) P(ParseCeil) P(ParseConcatenation) P(ParseConv2D) P(ParseCos) \
  P(ParseCumsum) P(ParseDepthToSpace) P(ParseDepthwiseConv2D) P(ParseDequantize) P(ParseDiv) \
  P(ParseDynamicUpdateSlice) P(ParseElu) P(ParseEmbeddingLookup) P(ParseEqual) P(ParseExp) \
  P(ParseExpandDims) P(ParseFill) P(ParseFloor) P(ParseFloorDiv) P(ParseFloorMod) \
  P(ParseFullyConnected) P(ParseGather) P(ParseGatherNd) P(ParseGreater) P(ParseGreaterEqual) \
  P(ParseHardSwish) P(ParseIf) P(ParseL2Normalization) P(ParseLeakyRelu) P(ParseLess) \
  P(ParseLessEqual) P(ParseLog) P(ParseLogSoftmax) P(ParseLogicalAnd) P(ParseLogicalNot) \
  P(ParseLogicalOr) P(ParseLogistic) P(ParseMaximum) P(ParseMinimum) P(ParseMirrorPad) \
  P(ParseMul) P(ParseNeg) P(ParseNotEqual) P(ParsePack) P(ParsePad) P(ParsePadV2) P(ParsePool) \
  P(ParsePrelu) P(ParseQuantize) P(ParseReadVariable) P(ParseReducer) P(ParseRelu) P(ParseRelu6) \
  P(ParseReshape) P(ParseResizeBilinear) P(ParseResizeNearestNeighbor) P(ParseReverseV2) \
  P(ParseRound) P(ParseRsqrt) P(ParseSelectV2) P(ParseShape) P(ParseSin) P(ParseSlice) \
  P(ParseSoftmax) P(ParseSpaceToBatchNd) P(ParseSpaceToDepth) P(ParseSplit) P(ParseSplitV) \
  P(ParseSqrt) P(ParseSquare) P(ParseSquaredDifference) P(ParseSqueeze) P(ParseStridedSlice) \
  P(ParseSub) P(ParseSvdf) P(ParseTanh) P(ParseTranspose) P(ParseTransposeConv) \
  P(ParseUnidirectionalSequenceLSTM) P(ParseUnpack) P(ParseVarHandle) P(ParseWhile) \
  P(ParseZerosLike)

// A kernel for one type of numbers: with CMSIS-NN one of its own, otherwise that for all types.
#ifdef CMSIS_NN
#define TFLM_STUB_TYPED(op, type) TFLMRegistration Register_##op##_##type();
#else
#define TFLM_STUB_TYPED(op, type) \
  inline TFLMRegistration Register_##op##_##type() { return Register_##op(); }
#endif

// All of these in the headers that the resolver's includes.
#define TFLM_STUB_TYPED_KERNELS(KERNEL) \
  KERNEL(ADD, INT16) \
  KERNEL(ADD, INT8) \
  KERNEL(AVERAGE_POOL_2D, INT16) \
  KERNEL(AVERAGE_POOL_2D, INT8) \
  KERNEL(BATCH_MATMUL, INT16) \
  KERNEL(BATCH_MATMUL, INT8) \
  KERNEL(CONV_2D, INT16) \
  KERNEL(CONV_2D, INT8) \
  KERNEL(DEPTHWISE_CONV_2D, INT16) \
  KERNEL(DEPTHWISE_CONV_2D, INT8) \
  KERNEL(FULLY_CONNECTED, INT16) \
  KERNEL(FULLY_CONNECTED, INT8) \
  KERNEL(MAX_POOL_2D, INT16) \
  KERNEL(MAX_POOL_2D, INT8) \
  KERNEL(MUL, INT8) \
  KERNEL(SOFTMAX, INT16) \
  KERNEL(SOFTMAX, INT8) \
  KERNEL(SVDF, INT8) \
  KERNEL(TRANSPOSE_CONV, INT8) \
  KERNEL(UNIDIRECTIONAL_SEQUENCE_LSTM, INT8)

namespace tflite {
namespace micro {

struct TFLMRegistration {
  void* (*init)(TfLiteContext*, const char*, std::size_t);
  void (*free)(TfLiteContext*, void*);
  TfLiteStatus (*prepare)(TfLiteContext*, TfLiteNode*);
  TfLiteStatus (*invoke)(TfLiteContext*, TfLiteNode*);
  void (*reset)(TfLiteContext*, void*);
  std::int32_t builtin_code;
  const char* custom_name;
};

class BuiltinDataAllocator;
using TfLiteBridgeBuiltinParseFunction = TfLiteStatus (*)(const Operator*, BuiltinDataAllocator*, void**);

#define TFLM_STUB_DECLARE(method, op, number, parse) TFLMRegistration Register_##op();
TFLM_STUB_OPERATORS(TFLM_STUB_DECLARE)
#undef TFLM_STUB_DECLARE

// A custom operator, known by its name; its registration is there once.
TFLMRegistration* Register_CIRCULAR_BUFFER();

#define TFLM_STUB_DECLARE(parse) TfLiteStatus parse(const Operator*, BuiltinDataAllocator*, void**);
TFLM_STUB_PARSERS(TFLM_STUB_DECLARE)
#undef TFLM_STUB_DECLARE

TFLM_STUB_TYPED_KERNELS(TFLM_STUB_TYPED)

class MicroOpResolver {
 public:
  virtual const TFLMRegistration* FindOp(BuiltinOperator op) const = 0;
  virtual const TFLMRegistration* FindOp(const char* op) const = 0;
  virtual TfLiteBridgeBuiltinParseFunction GetOpDataParser(BuiltinOperator op) const = 0;
  virtual ~MicroOpResolver() {}
};

template <unsigned int tOpCount>
class MicroMutableOpResolver : public MicroOpResolver {
 public:
#define TFLM_STUB_ADD(method, op, number, parse)                                       \
  TfLiteStatus method(const TFLMRegistration& registration = Register_##op()) {        \
    return AddBuiltin(static_cast<BuiltinOperator>(number), registration, parse, #op); \
  }
  TFLM_STUB_OPERATORS(TFLM_STUB_ADD)
#undef TFLM_STUB_ADD

  const TFLMRegistration* FindOp(BuiltinOperator op) const override {
    for (unsigned int i = 0; i < length_; ++i) {
      if (registrations_[i].builtin_code == op) return &registrations_[i];
    }
    return nullptr;
  }

  const TFLMRegistration* FindOp(const char* op) const override {
    for (unsigned int i = 0; i < length_; ++i) {
      if (registrations_[i].builtin_code == kCustom && std::strcmp(registrations_[i].custom_name, op) == 0) {
        return &registrations_[i];
      }
    }
    return nullptr;
  }

  TfLiteStatus AddCircularBuffer() { return AddCustom("CIRCULAR_BUFFER", Register_CIRCULAR_BUFFER()); }

  TfLiteBridgeBuiltinParseFunction GetOpDataParser(BuiltinOperator op) const override {
    const TFLMRegistration* const found = FindOp(op);
    return found == nullptr ? nullptr : parsers_[found - registrations_];
  }

 private:
  static constexpr int kCustom = 32;

  TfLiteStatus AddCustom(const char* op, const TFLMRegistration* registration) {
    if (FindOp(op) != nullptr || length_ >= tOpCount) {
      MicroPrintf("Couldn't register %s: it is there, or the resolver full (%u)", op, tOpCount);
      return kTfLiteError;
    }
    registrations_[length_] = *registration;
    registrations_[length_].builtin_code = kCustom;
    registrations_[length_].custom_name = op;
    parsers_[length_++] = nullptr;
    return kTfLiteOk;
  }

  TfLiteStatus AddBuiltin(BuiltinOperator number, const TFLMRegistration& registration,
                          TfLiteBridgeBuiltinParseFunction parser, const char* op) {
    if (FindOp(number) != nullptr || length_ >= tOpCount) {
      MicroPrintf("Couldn't register %s: it is there, or the resolver full (%u)", op, tOpCount);
      return kTfLiteError;
    }
    registrations_[length_] = registration;
    registrations_[length_].builtin_code = number;
    parsers_[length_++] = parser;
    return kTfLiteOk;
  }

  TFLMRegistration registrations_[tOpCount];
  TfLiteBridgeBuiltinParseFunction parsers_[tOpCount];
  unsigned int length_ = 0;
};

}  // namespace micro

using micro::MicroMutableOpResolver;
using micro::TFLMRegistration;

#define TFLM_STUB_USING(op, type) using micro::Register_##op##_##type;
TFLM_STUB_TYPED_KERNELS(TFLM_STUB_USING)
#undef TFLM_STUB_USING

}  // namespace tflite

#endif  // TFLM_STUB_MICRO_MUTABLE_OP_RESOLVER_H_
