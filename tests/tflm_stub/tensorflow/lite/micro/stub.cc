// Plays back a recording. It is a file of lines, each a key and its values:
//   arena BYTES, op NAME [KERNEL], model HEX, and for each inference the lines input HEX... and output HEX...
// An op line with a kernel demands that this kernel was registered, not only the operator.
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_log.h"
#include "tensorflow/lite/micro/system_setup.h"

namespace {

using Bytes = std::string;

struct Recording {
  std::size_t arena = 0;
  Bytes model;
  std::vector<std::vector<std::string>> ops;
  std::vector<std::vector<Bytes>> inputs, outputs;
};

Recording recording;
std::vector<TfLiteTensor> inputs, outputs;
bool initialized = false;

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
    if (key == "op") read.ops.push_back(values);
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

MicroInterpreter::MicroInterpreter(const Model* model, const MicroOpResolver& op_resolver,
                                   uint8_t* tensor_arena, size_t tensor_arena_size)
    : model_(model), op_resolver_(op_resolver), arena_(tensor_arena), arena_size_(tensor_arena_size) {
  recording = Read();
}

TfLiteStatus MicroInterpreter::AllocateTensors() {
  if (!initialized) {
    MicroPrintf("InitializeTarget was not called");
    return kTfLiteError;
  }
  if (reinterpret_cast<std::uintptr_t>(model_) % 16 != 0 || reinterpret_cast<std::uintptr_t>(arena_) % 16 != 0) {
    MicroPrintf("The model or the arena is not aligned");
    return kTfLiteError;
  }
  if (recording.model.empty() || std::memcmp(model_, recording.model.data(), recording.model.size()) != 0) {
    MicroPrintf("The model is not the recorded one");
    return kTfLiteError;
  }
  for (const std::vector<std::string>& op : recording.ops) {
    const TFLMRegistration* const found = op_resolver_.FindOp(op[0].c_str());
    if (found == nullptr) {
      MicroPrintf("Didn't find op for builtin opcode '%s'", op[0].c_str());
      return kTfLiteError;
    }
    if (op.size() > 1 && op[1] != found->kernel) {
      MicroPrintf("%s has the kernel %s", op[0].c_str(), found->kernel);
      return kTfLiteError;
    }
  }
  if (arena_size_ < recording.arena) {
    MicroPrintf("Failed to resize buffer");
    return kTfLiteError;
  }
  uint8_t* free = arena_;
  inputs = Tensors(recording.inputs[0], free);
  outputs = Tensors(recording.outputs[0], free);
  return kTfLiteOk;
}

TfLiteStatus MicroInterpreter::Invoke() {
  for (std::size_t run = 0; run < recording.inputs.size(); ++run) {
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
    return kTfLiteOk;
  }
  MicroPrintf("These inputs were not recorded");
  return kTfLiteError;
}

TfLiteStatus MicroInterpreter::Reset() { return kTfLiteOk; }

TfLiteTensor* MicroInterpreter::input(size_t index) { return index < inputs.size() ? &inputs[index] : nullptr; }

TfLiteTensor* MicroInterpreter::output(size_t index) { return index < outputs.size() ? &outputs[index] : nullptr; }

size_t MicroInterpreter::arena_used_bytes() const { return recording.arena; }

}  // namespace tflite

void MicroPrintf(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  std::vprintf(format, arguments);
  va_end(arguments);
  std::printf("\n");
}
