// What was called, written as a table, and a check that finds the first operator that makes NaN or infinity.
#include "stand_in.h"

#include <ATen/Functions.h>
#include <torch/csrc/autograd/function.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <utility>

namespace stand_in {
namespace {

struct Total {
  int64_t calls = 0;
  int64_t bytes = 0;
};

std::mutex lock;

std::map<std::pair<Cost, std::string>, Total>& totals() {
  static auto* map = new std::map<std::pair<Cost, std::string>, Total>;
  return *map;
}

const char* word(Cost cost) {
  switch (cost) {
    case Cost::view:
      return "view";
    case Cost::operation:
      return "operator";
    case Cost::wait:
      return "wait";
  }
  return "";
}

const struct AtExit {
  ~AtExit() { write_counts("exit"); }
} at_exit;

bool is_finite(const at::Tensor& tensor) {
  return !tensor.defined() || tensor.numel() == 0 || !at::isFloatingType(tensor.scalar_type()) ||
         at::isfinite(tensor).all().item<bool>();
}

bool is_finite(const c10::IValue& value) {
  if (value.isTensor()) {
    return is_finite(value.toTensor());
  }
  if (value.isTensorList()) {
    const auto tensors = value.toTensorVector();
    return std::all_of(tensors.begin(), tensors.end(), [](const at::Tensor& tensor) { return is_finite(tensor); });
  }
  return !value.isDouble() || std::isfinite(value.toDouble());
}

bool is_half(const c10::IValue& value) {
  const auto half = [](const at::Tensor& tensor) { return tensor.defined() && tensor.scalar_type() == at::kHalf; };
  if (value.isTensorList()) {
    const auto tensors = value.toTensorVector();
    return std::any_of(tensors.begin(), tensors.end(), half);
  }
  return value.isTensor() && half(value.toTensor());
}

// True in a backward pass for numbers of fp16: by those that are beyond it loss scaling finds its scale.
bool may_overflow(const torch::jit::Stack& stack, size_t count) {
  const auto begin = stack.end() - static_cast<std::ptrdiff_t>(count);
  return torch::autograd::get_current_node() != nullptr && std::any_of(begin, stack.end(), is_half);
}

// Infinities that are masked afterwards: the greatest of no numbers, and a quotient by 0 in autograd's formula for norms.
bool is_masked(const std::string& name) {
  return name == "aten::segment_reduce" ||
         (name == "aten::div.Tensor" && torch::autograd::get_current_node() != nullptr);
}

bool are_finite(const torch::jit::Stack& stack, size_t count) {
  const auto begin = stack.end() - static_cast<std::ptrdiff_t>(count);
  return std::all_of(begin, stack.end(), [](const c10::IValue& value) { return is_finite(value); });
}

}  // namespace

void count(Cost cost, const std::string& name, int64_t bytes) {
  if (is_replaying()) {
    return;
  }
  const std::lock_guard guard(lock);
  auto& total = totals()[{cost, name}];
  ++total.calls;
  total.bytes += bytes;
}

// A line per operator: what it costs, its name, calls, bytes that it read and wrote. Then a line `at`: what they lead
// up to, bytes held and the most that were held. Parted by tabs.
void write_counts(const char* up_to) {
  static const char* const path = std::getenv("SGAS_STAND_IN_COUNTS");
  if (path == nullptr) {
    return;
  }
  const std::lock_guard guard(lock);
  std::FILE* file = std::fopen(path, "a");
  TORCH_CHECK(file != nullptr, "SGAS_STAND_IN_COUNTS: ", path, " can't be written");
  for (const auto& [key, total] : totals()) {
    std::fprintf(file, "%s\t%s\t%lld\t%lld\n", word(key.first), key.second.c_str(),
                 static_cast<long long>(total.calls), static_cast<long long>(total.bytes));
  }
  std::fprintf(file, "at\t%s\t%lld\t%lld\n", up_to, static_cast<long long>(held_bytes()),
               static_cast<long long>(peak_bytes()));
  std::fclose(file);
  totals().clear();
}

int64_t bytes_of(const at::Tensor& tensor) {
  if (!tensor.defined()) {
    return 0;
  }
  int64_t elements = 1;
  for (int64_t dimension = 0; dimension < tensor.dim(); ++dimension) {
    elements *= tensor.stride(dimension) == 0 && tensor.size(dimension) > 1 ? 1 : tensor.size(dimension);
  }
  return elements * tensor.element_size();
}

FiniteCheck::FiniteCheck(const torch::jit::Stack& stack, size_t count, const std::string& name) : name(name) {
  static const bool is_wanted = std::getenv("SGAS_STAND_IN_CHECK") != nullptr;
  // Numbers that are recorded are not there yet; and at a replay nobody knows which belong to a backward pass.
  is_active = is_wanted && recording() == nullptr && !is_replaying() && !may_overflow(stack, count) && !is_masked(name) && are_finite(stack, count);
}

void FiniteCheck::look_at_results(const torch::jit::Stack& stack, size_t count) const {
  TORCH_CHECK(!is_active || may_overflow(stack, count) || are_finite(stack, count), name,
              " made NaN or infinity of finite numbers");
}

}  // namespace stand_in
