// In which types numbers reach operators and kernels, and leave operators.
#include "recording.h"

#include <map>
#include <sstream>
#include <string>
#include <tuple>

namespace {

// A call that has not ended.
struct Frame : at::ObserverContext {
  Frame* outer;
  std::string name;
  std::string inputs;
  bool backward;
  // It called itself, as autocast does after its casts: what reached it is what reaches that inner call.
  bool redispatched = false;
};

// Backward, types of inputs and outputs, the kernel around (`-` for none), name.
using Key = std::tuple<bool, std::string, std::string, std::string, std::string>;

using Record = sgas::Record<std::map<Key, int64_t>, c10::DebugInfoKind::TEST_INFO_2>;

// Of the calls on this thread.
thread_local Frame* innermost = nullptr;

void add_type(std::string& types, const at::Tensor& tensor) {
  if (tensor.defined() && at::isFloatingType(tensor.scalar_type())) {
    types += types.empty() ? "" : ",";
    types += c10::toString(tensor.scalar_type());
  }
}

// The types of all tensors of floating numbers among the values, in their order.
template <class Values>
std::string types_of(const Values& values) {
  std::string types;
  for (const c10::IValue& value : values) {
    if (value.isTensor()) {
      add_type(types, value.toTensor());
    } else if (value.isTensorList()) {
      for (const at::Tensor& tensor : value.toTensorVector()) {
        add_type(types, tensor);
      }
    }
  }
  return types;
}

// The kernel that a call stands in, itself left out.
std::string kernel_around(const Frame* frame) {
  for (frame = frame->outer; frame != nullptr; frame = frame->outer) {
    if (frame->name.rfind("sgas_", 0) == 0) {
      return frame->name;
    }
  }
  return "-";
}

std::unique_ptr<at::ObserverContext> enter(const at::RecordFunction& function) {
  auto frame = std::make_unique<Frame>();
  frame->outer = innermost;
  frame->name = function.name();
  // Kernels and autograd's nodes come without their tensors.
  if (function.operator_name().has_value()) {
    frame->inputs = types_of(function.inputs());
  }
  frame->backward = sgas::is_backward(function) || (frame->outer != nullptr && frame->outer->backward);
  if (frame->outer != nullptr && frame->outer->name == frame->name) {
    frame->outer->redispatched = true;
  }
  innermost = frame.get();
  return frame;
}

void add(Key key) {
  // The call that ends a record ends after it.
  if (Record* record = Record::current(); record != nullptr) {
    const std::lock_guard guard(record->lock);
    ++record->contents[std::move(key)];
  }
}

void leave(const at::RecordFunction& function, at::ObserverContext* context) {
  auto* frame = static_cast<Frame*>(context);
  innermost = frame->outer;
  if (!frame->redispatched && !frame->inputs.empty()) {
    add({frame->backward, frame->inputs, types_of(function.outputs()), kernel_around(frame), frame->name});
  }
}

}  // namespace

namespace sgas {

void note_type(const at::Tensor& tensor) {
  if (innermost == nullptr) {
    return;
  }
  std::string type;
  add_type(type, tensor);
  if (!type.empty()) {
    add({innermost->backward, type, "", kernel_around(innermost), innermost->name});
  }
}

}  // namespace sgas

extern "C" {

char* sgas_types_start() {
  return sgas::guarded(
      [] { Record::start(at::RecordFunctionCallback(enter, leave).needsInputs(true).needsOutputs(true)); });
}

// A line per operator and types: 1 in backward passes and else 0, calls, types of the inputs and of the outputs and
// the kernel around (`-` for none), name.
char* sgas_types_stop(char** out) {
  return sgas::guarded([&] {
    std::ostringstream text;
    for (const auto& [key, calls] : Record::stop()) {
      const auto& [backward, inputs, outputs, kernel, name] = key;
      text << backward << ' ' << calls << ' ' << inputs << ' ' << (outputs.empty() ? "-" : outputs) << ' ' << kernel
           << ' ' << name << '\n';
    }
    *out = sgas::copy_text(text.str().c_str());
  });
}

}  // extern "C"
