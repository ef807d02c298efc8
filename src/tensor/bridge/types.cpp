// In which types numbers reach operators and kernels, and leave operators.
#include "bridge.h"

#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <tuple>
#include <utility>

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

struct Record {
  std::map<Key, int64_t> calls;
  Frame* innermost = nullptr;
  at::CallbackHandle callback = 0;
};

thread_local std::unique_ptr<Record> record;

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

bool is_backward(const at::RecordFunction& function) {
  static const char engine[] = "autograd::engine::";
  return function.scope() == at::RecordScope::BACKWARD_FUNCTION ||
         std::strncmp(function.name(), engine, sizeof engine - 1) == 0;
}

std::unique_ptr<at::ObserverContext> enter(const at::RecordFunction& function) {
  if (!record) {
    return nullptr;
  }
  auto frame = std::make_unique<Frame>();
  frame->outer = record->innermost;
  frame->name = function.name();
  // Kernels and autograd's nodes come without their tensors.
  if (function.operator_name().has_value()) {
    frame->inputs = types_of(function.inputs());
  }
  frame->backward = is_backward(function) || (frame->outer != nullptr && frame->outer->backward);
  if (frame->outer != nullptr && frame->outer->name == frame->name) {
    frame->outer->redispatched = true;
  }
  record->innermost = frame.get();
  return frame;
}

void leave(const at::RecordFunction& function, at::ObserverContext* context) {
  auto* frame = static_cast<Frame*>(context);
  if (!record || frame == nullptr) {
    return;
  }
  record->innermost = frame->outer;
  if (!frame->redispatched && !frame->inputs.empty()) {
    ++record->calls[{frame->backward, frame->inputs, types_of(function.outputs()), kernel_around(frame), frame->name}];
  }
}

}  // namespace

namespace sgas {

void note_type(const at::Tensor& tensor) {
  if (!record || record->innermost == nullptr) {
    return;
  }
  std::string type;
  add_type(type, tensor);
  if (!type.empty()) {
    const Frame* frame = record->innermost;
    ++record->calls[{frame->backward, type, "", kernel_around(frame), frame->name}];
  }
}

}  // namespace sgas

extern "C" {

char* sgas_types_start() {
  return sgas::guarded([] {
    TORCH_CHECK(!record, "this thread records types already");
    auto fresh = std::make_unique<Record>();
    fresh->callback = at::addThreadLocalCallback(
        at::RecordFunctionCallback(enter, leave)
            .needsInputs(true)
            .needsOutputs(true)
            .scopes({at::RecordScope::FUNCTION, at::RecordScope::BACKWARD_FUNCTION}));
    record = std::move(fresh);
  });
}

// A line per operator and types: 1 in backward passes and else 0, calls, types of the inputs and of the outputs and
// the kernel around (`-` for none), name.
char* sgas_types_stop(char** out) {
  std::unique_ptr<Record> found;
  return sgas::guarded([&] {
    TORCH_CHECK(record, "this thread does not record types");
    found = std::move(record);
    at::removeCallback(found->callback);
    std::ostringstream text;
    for (const auto& [key, calls] : found->calls) {
      const auto& [backward, inputs, outputs, kernel, name] = key;
      text << backward << ' ' << calls << ' ' << inputs << ' ' << (outputs.empty() ? "-" : outputs) << ' ' << kernel
           << ' ' << name << '\n';
    }
    *out = sgas::copy_text(text.str().c_str());
  });
}

}  // extern "C"
