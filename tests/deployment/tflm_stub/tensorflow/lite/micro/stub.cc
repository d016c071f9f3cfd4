// Plays back a recording. It is a file of lines, each a key and its values:
//   arena BYTES, op NUMBER KERNEL, model HEX, and for each inference the lines input HEX... and output HEX...
// With a line "status NUMBER" for each inference, they are the steps of one sequence, which Reset brings to its start.
// An operator, by its number in the schema, must be registered with this kernel.
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#define CMSIS_NN

#include "tensorflow/lite/micro/kernels/pad.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_log.h"
#include "tensorflow/lite/micro/system_setup.h"

namespace {

using Bytes = std::string;

struct Op {
  int number;
  std::string kernel;
};

struct Recording {
  std::size_t arena = 0;
  Bytes model;
  std::vector<Op> ops;
  std::vector<std::vector<Bytes>> inputs, outputs;
  std::vector<int> statuses;
};

// What the interpreter was made with.
struct Given {
  const char* model;
  const tflite::micro::MicroOpResolver* resolver;
  uint8_t* arena;
  std::size_t arena_size;
};

Recording recording;
Given given;
std::vector<TfLiteTensor> inputs, outputs;
bool initialized = false;
std::size_t step = 0;

Bytes FromHex(const std::string& hex) {
  Bytes bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

Recording Read() {
  const char* const path = std::getenv("TFLM_STUB");
  std::ifstream file(path == nullptr ? "" : path);
  Recording read;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string key;
    words >> key;
    std::vector<std::string> values;
    for (std::string value; words >> value;) values.push_back(value);
    if (key == "arena") read.arena = std::stoul(values[0]);
    if (key == "model") read.model = FromHex(values[0]);
    if (key == "status") read.statuses.push_back(std::stoi(values[0]));
    if (key == "op") read.ops.push_back({std::stoi(values[0]), values[1]});
    if (key == "input" || key == "output") {
      std::vector<Bytes> tensors;
      for (const std::string& value : values) tensors.push_back(FromHex(value));
      (key == "input" ? read.inputs : read.outputs).push_back(tensors);
    }
  }
  return read;
}

std::vector<TfLiteTensor> Tensors(const std::vector<Bytes>& contents, uint8_t*& free) {
  std::vector<TfLiteTensor> tensors;
  for (const Bytes& content : contents) {
    TfLiteTensor tensor;
    tensor.data.data = free;
    tensor.bytes = content.size();
    tensors.push_back(tensor);
    free += (content.size() + 15) / 16 * 16;
  }
  return tensors;
}

}  // namespace

namespace tflite {

void InitializeTarget() { initialized = true; }

namespace micro {

// A kernel is known by its name, in a field that is free for that.
#define TFLM_STUB_DEFINE(method, op, number, parse)                                    \
  TFLMRegistration Register_##op() {                                                   \
    return {nullptr, nullptr, nullptr, nullptr, nullptr, 0, #op};                      \
  }
TFLM_STUB_OPERATORS(TFLM_STUB_DEFINE)

TFLMRegistration* Register_CIRCULAR_BUFFER() {
  static TFLMRegistration registration = {nullptr, nullptr, nullptr, nullptr, nullptr, 0, "CIRCULAR_BUFFER"};
  return &registration;
}

#define TFLM_STUB_DEFINE_PARSER(parse) \
  TfLiteStatus parse(const Operator*, BuiltinDataAllocator*, void**) { return kTfLiteOk; }
TFLM_STUB_PARSERS(TFLM_STUB_DEFINE_PARSER)

#define TFLM_STUB_DEFINE_TYPED(op, type)                                               \
  TFLMRegistration Register_##op##_##type() {                                          \
    return {nullptr, nullptr, nullptr, nullptr, nullptr, 0, #op "_" #type};            \
  }
TFLM_STUB_TYPED_KERNELS(TFLM_STUB_DEFINE_TYPED)
TFLM_STUB_DEFINE_TYPED(PAD, INT8)

MicroInterpreter::MicroInterpreter(const Model* model, const MicroOpResolver& op_resolver,
                                   uint8_t* tensor_arena, size_t tensor_arena_size,
                                   MicroResourceVariables*, MicroProfilerInterface*, bool) {
  recording = Read();
  given = {reinterpret_cast<const char*>(model), &op_resolver, tensor_arena, tensor_arena_size};
}

MicroInterpreter::~MicroInterpreter() {}

TfLiteStatus MicroInterpreter::AllocateTensors() {
  if (!initialized) {
    MicroPrintf("InitializeTarget was not called");
    return kTfLiteError;
  }
  // The model is known by its root table; the file begins as many bytes before it as in the recording.
  const char* const recorded = recording.model.data();
  const char* const file = given.model - (reinterpret_cast<const char*>(GetModel(recorded)) - recorded);
  if (std::memcmp(file, recorded, recording.model.size()) != 0) {
    MicroPrintf("The model is not the recorded one");
    return kTfLiteError;
  }
  if (reinterpret_cast<std::uintptr_t>(file) % 16 != 0 || reinterpret_cast<std::uintptr_t>(given.arena) % 16 != 0) {
    MicroPrintf("The model or the arena is not aligned");
    return kTfLiteError;
  }
  for (const Op& op : recording.ops) {
    const TFLMRegistration* const found = given.resolver->FindOp(static_cast<BuiltinOperator>(op.number));
    if (found == nullptr || op.kernel != found->custom_name) {
      MicroPrintf("Operator %d needs %s, has %s", op.number, op.kernel.c_str(),
                  found == nullptr ? "nothing" : found->custom_name);
      return kTfLiteError;
    }
  }
  if (given.arena_size < recording.arena) {
    MicroPrintf("Failed to resize buffer");
    return kTfLiteError;
  }
  uint8_t* free = given.arena;
  inputs = Tensors(recording.inputs[0], free);
  outputs = Tensors(recording.outputs[0], free);
  return kTfLiteOk;
}

TfLiteStatus MicroInterpreter::Invoke() {
  const bool is_sequence = !recording.statuses.empty();
  const std::size_t now = is_sequence ? step++ : 0;
  for (std::size_t run = now; run < (is_sequence ? now + 1 : recording.inputs.size()); ++run) {
    if (run >= recording.inputs.size()) break;
    bool same = true;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const Bytes& content = recording.inputs[run][i];
      same = same && std::memcmp(inputs[i].data.data, content.data(), content.size()) == 0;
    }
    if (!same) continue;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      const Bytes& content = recording.outputs[run][i];
      std::memcpy(outputs[i].data.data, content.data(), content.size());
    }
    return is_sequence ? static_cast<TfLiteStatus>(recording.statuses[run]) : kTfLiteOk;
  }
  MicroPrintf("These inputs were not recorded");
  return kTfLiteError;
}

TfLiteStatus MicroInterpreter::Reset() {
  step = 0;
  return kTfLiteOk;
}

TfLiteTensor* MicroInterpreter::input(size_t index) { return index < inputs.size() ? &inputs[index] : nullptr; }

TfLiteTensor* MicroInterpreter::output(size_t index) { return index < outputs.size() ? &outputs[index] : nullptr; }

size_t MicroInterpreter::arena_used_bytes() const { return recording.arena; }

}  // namespace micro
}  // namespace tflite

void MicroPrintf(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  std::vprintf(format, arguments);
  va_end(arguments);
  std::printf("\n");
}
