// The multiply-adds that libtorch's products and convolutions are asked for: of the formula that is computed, not of the
// kernel that computes it.
#include "recording.h"

#include <string>
#include <unordered_map>

namespace {

using Work = sgas::Record<int64_t, c10::DebugInfoKind::INFERENCE_CONTEXT>;
using Inputs = c10::ArrayRef<const c10::IValue>;

int64_t of_product(const at::Tensor& left, const at::Tensor& right) {
  return left.numel() * right.size(-1);
}

// A weight (outputs, inputs of a group, height, width) meets every place of the output.
int64_t of_convolution(const at::Tensor& output, const at::Tensor& weight) {
  return output.numel() / output.size(1) * weight.numel();
}

int64_t of_convolution_forward(Inputs inputs) {
  const at::Tensor& x = inputs[0].toTensor();
  const at::Tensor& weight = inputs[1].toTensor();
  const auto stride = inputs[3].toIntVector();
  const auto padding = inputs[4].toIntVector();
  const auto dilation = inputs[5].toIntVector();
  int64_t places = x.size(0);
  for (int64_t axis = 0; axis < x.dim() - 2; ++axis) {
    const int64_t reach = dilation[axis] * (weight.size(axis + 2) - 1) + 1;
    places *= (x.size(axis + 2) + 2 * padding[axis] - reach) / stride[axis] + 1;
  }
  return places * weight.numel();
}

// Of the gradients of input and weight, as far as they are asked for.
int64_t of_convolution_backward(Inputs inputs) {
  const auto asked = inputs[inputs.size() - 1].toBoolList();
  const int64_t passes = static_cast<int64_t>(asked.get(0)) + static_cast<int64_t>(asked.get(1));
  return passes * of_convolution(inputs[0].toTensor(), inputs[2].toTensor());
}

int64_t work_of(const char* name, Inputs inputs) {
  using Count = int64_t (*)(Inputs);
  static const Count product = [](Inputs in) { return of_product(in[0].toTensor(), in[1].toTensor()); };
  static const Count added = [](Inputs in) { return of_product(in[1].toTensor(), in[2].toTensor()); };
  static const std::unordered_map<std::string, Count> known{
      {"aten::mm", product},
      {"aten::bmm", product},
      {"aten::addmm", added},
      {"aten::addmm_", added},
      {"aten::baddbmm", added},
      {"aten::baddbmm_", added},
      {"aten::convolution", of_convolution_forward},
      {"aten::convolution_backward", of_convolution_backward},
  };
  const auto found = known.find(name);
  return found == known.end() ? 0 : found->second(inputs);
}

std::unique_ptr<at::ObserverContext> enter(const at::RecordFunction& function) {
  if (Work* work = Work::current(); work != nullptr) {
    const int64_t own = work_of(function.name(), function.inputs());
    const std::lock_guard guard(work->lock);
    work->contents += own;
  }
  return nullptr;
}

}  // namespace

extern "C" {

char* sgas_work_start() {
  return sgas::guarded([] { Work::start(at::RecordFunctionCallback(enter).needsInputs(true)); });
}

// The number of multiply-adds, as a line.
char* sgas_work_stop(char** out) {
  return sgas::guarded([&] { *out = sgas::copy_text(std::to_string(Work::stop()).c_str()); });
}

}  // extern "C"
