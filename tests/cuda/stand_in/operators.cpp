// Every operator on tensors of the device: the CPU's kernel computes it over the same memory.
#include "stand_in.h"

#include <ATen/EmptyTensor.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/record_function.h>
#include <c10/core/CPUAllocator.h>
#include <torch/library.h>

#include <algorithm>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

namespace stand_in {
namespace {

using at::Tensor;
using torch::jit::Stack;

constexpr c10::DispatchKeySet on_cpu(c10::DispatchKey::CPU);
constexpr c10::DispatchKeySet on_cuda(c10::DispatchKey::CUDA);

// Operators whose CUDA kernels wait until the device has told the size of a result, or a number.
const std::set<std::string> waiting = {"_local_scalar_dense", "nonzero",  "masked_select", "equal",
                                       "bincount",            "_unique2", "unique_dim",    "unique_consecutive"};

// Operators that bring indices in host memory to the device themselves, and wait for that.
const std::set<std::string> indexing = {"index", "index_put_", "_index_put_impl_"};

// While this lives, calls belong to a kernel: nobody records, differentiates or casts them, as nobody sees into CUDA's.
struct InsideKernel {
  at::DisableRecordFunctionGuard unrecorded;
  at::AutoDispatchBelowADInplaceOrView plain;
  c10::impl::ExcludeDispatchKeyGuard uncast{c10::autocast_dispatch_keyset};
};

Tensor over(c10::Storage storage, c10::DispatchKeySet keys, const Tensor& like) {
  auto tensor = at::detail::make_tensor<c10::TensorImpl>(std::move(storage), keys, like.dtype());
  tensor.unsafeGetTensorImpl()->set_sizes_and_strides(like.sizes(), like.strides(), like.storage_offset());
  return tensor;
}

// The tensors of one call: those of the device as CPU tensors over the same memory, and back.
class Call {
 public:
  int64_t bytes = 0;
  bool reads_host = false;

  Tensor to_cpu(const Tensor& tensor) {
    if (!tensor.defined() || !tensor.is_cuda()) {
      // A single number in host memory travels with the call.
      reads_host |= tensor.defined() && tensor.dim() > 0;
      on_host.push_back(tensor);
      return tensor;
    }
    bytes += bytes_of(tensor);
    auto* storage = tensor.storage().unsafeGetStorageImpl();
    auto& alias = aliases[storage];
    if (!alias) {
      alias = c10::make_intrusive<c10::StorageImpl>(
          c10::StorageImpl::use_byte_size_t(), storage->nbytes(),
          c10::DataPtr(storage->mutable_data(), c10::Device(c10::kCPU)), c10::GetCPUAllocator(), true);
    }
    const Tensor cpu = over(c10::Storage(alias), on_cpu, tensor);
    if (tensor.unsafeGetTensorImpl()->is_wrapped_number()) {
      // To type promotion it is a number of the program, not a tensor.
      cpu.unsafeGetTensorImpl()->set_wrapped_number(true);
    }
    pairs.emplace_back(tensor, cpu);
    return cpu;
  }

  bool has_device_tensors() const { return !pairs.empty(); }

  // Gives the device what the kernel did to its arguments' sizes, and room that it took for them.
  void take_over_resized() {
    for (auto& [tensor, cpu] : pairs) {
      auto* storage = tensor.storage().unsafeGetStorageImpl();
      if (cpu.storage().data() != storage->data()) {
        const auto fresh = cpu.storage().getWeakStorageImpl().lock();
        storage->set_data_ptr_noswap(adopt(fresh));
        storage->set_nbytes(fresh->nbytes());
      }
      if (cpu.sizes() != tensor.sizes() || cpu.strides() != tensor.strides()) {
        tensor.unsafeGetTensorImpl()->set_sizes_and_strides(cpu.sizes(), cpu.strides(), cpu.storage_offset());
      }
    }
  }

  // A result as a tensor of the device: an argument itself, one over an argument's memory, or a new one.
  Tensor to_device(const Tensor& result) {
    const auto is_result = [&](const Tensor& tensor) { return tensor.is_same(result); };
    if (!result.defined() || std::any_of(on_host.begin(), on_host.end(), is_result)) {
      return result;
    }
    for (const auto& [tensor, cpu] : pairs) {
      if (cpu.is_same(result)) {
        return tensor;
      }
    }
    auto* storage = result.storage().unsafeGetStorageImpl();
    for (const auto& [tensor, cpu] : pairs) {
      if (cpu.storage().unsafeGetStorageImpl() == storage) {
        return over(tensor.storage(), on_cuda, result);
      }
    }
    auto& owned = adopted[storage];
    if (!owned) {
      const auto fresh = result.storage().getWeakStorageImpl().lock();
      owned = c10::make_intrusive<c10::StorageImpl>(c10::StorageImpl::use_byte_size_t(), fresh->nbytes(),
                                                    adopt(fresh), device_memory(), true);
    }
    return over(c10::Storage(owned), on_cuda, result);
  }

 private:
  std::vector<Tensor> on_host;
  std::vector<std::pair<Tensor, Tensor>> pairs;
  std::unordered_map<c10::StorageImpl*, c10::intrusive_ptr<c10::StorageImpl>> aliases;
  std::unordered_map<c10::StorageImpl*, c10::intrusive_ptr<c10::StorageImpl>> adopted;
};

// The argument for the CPU's kernel.
c10::IValue argument(Call& call, const c10::IValue& value) {
  if (value.isTensor()) {
    return call.to_cpu(value.toTensor());
  }
  if (value.isTensorList()) {
    auto tensors = value.toTensorVector();
    for (Tensor& tensor : tensors) {
      tensor = call.to_cpu(tensor);
    }
    return tensors;
  }
  if (value.isOptionalTensorList()) {
    c10::List<std::optional<Tensor>> tensors;
    for (const std::optional<Tensor> tensor : value.toOptionalTensorList()) {
      tensors.push_back(tensor ? std::optional<Tensor>(call.to_cpu(*tensor)) : std::nullopt);
    }
    return tensors;
  }
  if (value.isDevice()) {
    return c10::Device(c10::kCPU);
  }
  // The CPU's own generator draws.
  return value.isGenerator() ? c10::IValue() : value;
}

c10::IValue result(Call& call, const c10::IValue& value) {
  if (value.isTensor()) {
    return call.to_device(value.toTensor());
  }
  if (value.isTensorList()) {
    auto tensors = value.toTensorVector();
    for (Tensor& tensor : tensors) {
      tensor = call.to_device(tensor);
    }
    return tensors;
  }
  return value;
}

int64_t bytes_of(const c10::IValue& value) {
  int64_t bytes = 0;
  if (value.isTensor()) {
    bytes = stand_in::bytes_of(value.toTensor());
  } else if (value.isTensorList()) {
    for (const Tensor& tensor : value.toTensorVector()) {
      bytes += stand_in::bytes_of(tensor);
    }
  }
  return bytes;
}

// An index of truth values is counted first, and its number decides the size of the result.
bool has_mask(const c10::IValue& indices) {
  if (!indices.isOptionalTensorList()) {
    return false;
  }
  for (const std::optional<Tensor> index : indices.toOptionalTensorList()) {
    if (index && index->defined() && (index->scalar_type() == at::kBool || index->scalar_type() == at::kByte)) {
      return true;
    }
  }
  return false;
}

// `arguments` are those of the call.
bool waits(const c10::FunctionSchema& schema, const std::string& name, c10::ArrayRef<c10::IValue> arguments,
           const Call& call) {
  if (indexing.count(name) > 0) {
    return call.reads_host || has_mask(arguments[1]);
  }
  if (name == "segment_reduce") {
    // Lengths are checked, unless it is called unsafe.
    return !arguments[2].isNone() && !arguments[*schema.argumentIndexWithName("unsafe")].toBool();
  }
  if (name == "repeat_interleave") {
    return arguments.back().isNone();
  }
  return waiting.count(name) > 0;
}

// Where the CPU's kernels fail on images that lie channels-last: the norm's statistics lose thirteen times as much to
// rounding as others, and oneDNN's gradient of a strided 1x1 kernel writes beyond its end. They get such images in the
// usual layout, and the results go back into the caller's.
class UsualLayout {
 public:
  UsualLayout(const std::string& name, Stack& stack, size_t count) {
    static const std::set<std::string> failing = {"native_batch_norm", "native_batch_norm_backward",
                                                  "convolution_backward"};
    if (failing.count(name) == 0) {
      return;
    }
    for (auto value = stack.end() - static_cast<std::ptrdiff_t>(count); value != stack.end(); ++value) {
      if (is_channels_last(*value)) {
        *value = value->toTensor().contiguous();
        is_changed = true;
      }
    }
  }

  void restore(Stack& stack, size_t count) const {
    for (auto value = stack.end() - static_cast<std::ptrdiff_t>(count); is_changed && value != stack.end(); ++value) {
      if (value->isTensor() && value->toTensor().defined() && value->toTensor().dim() == 4) {
        *value = value->toTensor().contiguous(at::MemoryFormat::ChannelsLast);
      }
    }
  }

 private:
  bool is_changed = false;

  static bool is_channels_last(const c10::IValue& value) {
    return value.isTensor() && value.toTensor().defined() && value.toTensor().dim() == 4 &&
           value.toTensor().suggest_memory_format() == at::MemoryFormat::ChannelsLast;
  }
};

// CUDA's kernel gives wrong numbers here, and no error (libtorch 2.11, pytorch/pytorch#188344).
void refuse_what_cuda_gets_wrong(const std::string& name, c10::ArrayRef<c10::IValue> arguments) {
  if (name != "avg_pool2d_backward") {
    return;
  }
  const Tensor& input = arguments[1].toTensor();
  bool is_padded = false;
  for (const int64_t rows : arguments[4].toIntVector()) {
    is_padded |= rows > 0;
  }
  TORCH_CHECK(!is_padded || input.suggest_memory_format() != at::MemoryFormat::ChannelsLast,
              "CUDA's gradient of a padded mean pool is wrong where images lie channels-last");
}

// True where the results are views of arguments.
bool is_view(const c10::FunctionSchema& schema) {
  const auto& results = schema.returns();
  return std::any_of(results.begin(), results.end(), [](const c10::Argument& result) {
    return result.alias_info() != nullptr && !result.alias_info()->isWrite();
  });
}

// The tensors of the device that a call writes into. (Norms do not say that they move their running statistics.)
std::vector<Tensor> written(const c10::FunctionSchema& schema, c10::ArrayRef<c10::IValue> arguments) {
  std::vector<Tensor> found;
  for (size_t position = 0; position < arguments.size(); ++position) {
    const auto& argument = schema.arguments()[position];
    const auto& value = arguments[position];
    const bool is_written = argument.alias_info() != nullptr && argument.alias_info()->isWrite();
    if (!is_written && argument.name().rfind("running_", 0) != 0) {
      continue;
    }
    const auto tensors = value.isTensorList() ? value.toTensorVector()
                         : value.isTensor()   ? std::vector<Tensor>{value.toTensor()}
                                              : std::vector<Tensor>();
    for (const Tensor& tensor : tensors) {
      if (tensor.defined() && tensor.is_cuda()) {
        found.push_back(tensor);
      }
    }
  }
  return found;
}

// Writes what a call gave anew into the memory of what it gave when it was recorded.
void write_over(c10::ArrayRef<c10::IValue> recorded, c10::ArrayRef<c10::IValue> fresh) {
  const auto over = [](const Tensor& to, const Tensor& from) {
    if (to.defined() && to.is_cuda() && !to.is_alias_of(from)) {
      const InsideKernel inside;
      Tensor target = to;
      target.copy_(from);
    }
  };
  for (size_t position = 0; position < recorded.size(); ++position) {
    if (recorded[position].isTensor()) {
      over(recorded[position].toTensor(), fresh[position].toTensor());
    } else if (recorded[position].isTensorList()) {
      const auto to = recorded[position].toTensorVector(), from = fresh[position].toTensorVector();
      for (size_t each = 0; each < to.size(); ++each) {
        over(to[each], from[each]);
      }
    }
  }
}

void compute_on_cpu(const c10::OperatorHandle& handle, c10::DispatchKeySet keys, Stack* stack);

// The same memory without what autograd knows of it: what is recorded holds no graph of gradients.
Tensor bare(const Tensor& tensor) {
  return tensor.defined()
             ? Tensor(tensor.unsafeGetTensorImpl()->shallow_copy_and_detach(c10::VariableVersion(), true))
             : tensor;
}

Stack bare(Stack values) {
  for (auto& value : values) {
    if (value.isTensor()) {
      value = bare(value.toTensor());
    } else if (value.isTensorList()) {
      c10::List<Tensor> all;
      for (const Tensor& tensor : value.toTensorVector()) {
        all.push_back(bare(tensor));
      }
      value = std::move(all);
    } else if (value.isOptionalTensorList()) {
      c10::List<std::optional<Tensor>> all;
      for (const auto& tensor : value.toOptionalTensorVector()) {
        all.push_back(tensor.has_value() ? std::optional(bare(*tensor)) : std::nullopt);
      }
      value = std::move(all);
    }
  }
  return values;
}

// What an operator does is done again at every replay; a view needs no doing.
void record(Recording& graph, const c10::OperatorHandle& handle, Stack arguments, Stack results) {
  graph.steps.emplace_back([handle, arguments = bare(std::move(arguments)), results = bare(std::move(results))] {
    Stack stack = arguments;
    compute_on_cpu(handle, on_cuda, &stack);
    write_over(results, stack);
  });
}

void compute_on_cpu(const c10::OperatorHandle& handle, c10::DispatchKeySet, Stack* stack) {
  const InsideKernel inside;
  Recording* const graph = recording();
  const auto all = torch::jit::last(*stack, handle.schema().arguments().size());
  const Stack given = graph != nullptr && !is_view(handle.schema()) ? Stack(all.begin(), all.end()) : Stack();
  const Undo undo(written(handle.schema(), all));
  const auto& schema = handle.schema();
  const auto name = c10::toString(handle.operator_name());
  const std::string plain_name = schema.name().substr(schema.name().rfind(':') + 1);
  const size_t argument_count = schema.arguments().size();
  const size_t result_count = schema.returns().size();
  Call call;
  for (auto value = stack->end() - static_cast<std::ptrdiff_t>(argument_count); value != stack->end(); ++value) {
    *value = argument(call, *value);
  }
  TORCH_CHECK(!call.reads_host || !call.has_device_tensors() || indexing.count(plain_name) > 0,
              "Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu! (", name,
              ")");
  const auto& taken = schema.arguments();
  const bool draws = std::any_of(taken.begin(), taken.end(), [](const auto& each) { return each.name() == "generator"; });
  TORCH_CHECK(graph != nullptr || !draws || is_replaying() || !is_generator_recorded(),
              "Offset increment outside graph capture encountered unexpectedly.");
  const bool is_waiting = waits(schema, plain_name, torch::jit::last(*stack, argument_count), call);
  refuse_what_cuda_gets_wrong(plain_name, torch::jit::last(*stack, argument_count));
  const FiniteCheck check(*stack, argument_count, name);
  const UsualLayout layout(plain_name, *stack, argument_count);
  handle.redispatchBoxed(on_cpu, stack);
  layout.restore(*stack, result_count);
  check.look_at_results(*stack, result_count);
  call.take_over_resized();
  for (size_t position = 0; position < result_count; ++position) {
    c10::IValue& value = (*stack)[stack->size() - result_count + position];
    value = result(call, value);
    // What is written into an argument was counted with it.
    call.bytes += schema.returns()[position].alias_info() == nullptr ? bytes_of(value) : 0;
  }
  if (is_view(schema)) {
    count(Cost::view, name, 0);
  } else {
    if (graph != nullptr) {
      TORCH_CHECK(!is_waiting, name, " waits for the device, which a graph that is recorded may not");
      record(*graph, handle, given, Stack(stack->end() - static_cast<std::ptrdiff_t>(result_count), stack->end()));
    }
    count(is_waiting ? Cost::wait : Cost::operation, name, call.bytes);
  }
}

Tensor empty(at::IntArrayRef size, std::optional<at::ScalarType> type, std::optional<at::Layout>,
             std::optional<at::Device>, std::optional<bool>, std::optional<at::MemoryFormat> format) {
  return at::detail::empty_generic(size, device_memory(), on_cuda, type.value_or(at::kFloat), format);
}

Tensor empty_strided(at::IntArrayRef size, at::IntArrayRef stride, std::optional<at::ScalarType> type,
                     std::optional<at::Layout>, std::optional<at::Device>, std::optional<bool>) {
  return at::detail::empty_strided_generic(size, stride, device_memory(), on_cuda, type.value_or(at::kFloat));
}

// A copy between host and device goes on by itself where it was asked to and the host's memory is pinned. Numbers that
// lie scattered, or change their type, are gathered in other memory first, which is not pinned.
bool copies_by_itself(const Tensor& to, const Tensor& from, bool non_blocking) {
  const Tensor& host = to.is_cuda() ? from : to;
  const bool as_it_lies = to.scalar_type() == from.scalar_type() && to.sizes() == from.sizes() &&
                          to.strides() == from.strides() && to.is_non_overlapping_and_dense();
  return non_blocking && as_it_lies && is_pinned(host.storage().data());
}

Tensor& copy(Tensor& to, const Tensor& from, bool non_blocking) {
  if (to.is_same(from)) {
    return to;
  }
  const InsideKernel inside;
  Recording* const graph = recording();
  const Undo undo({to});
  if (graph != nullptr) {
    TORCH_CHECK(to.is_cuda() && from.is_cuda(), "a copy between host and device can't be recorded here");
    graph->steps.emplace_back([to = bare(to), from = bare(from)]() mutable { copy(to, from, true); });
  }
  Call call;
  Stack arguments{call.to_cpu(from)};
  const FiniteCheck check(arguments, 1, "aten::copy_");
  Tensor target = call.to_cpu(to);
  target.copy_(from.is_cuda() ? arguments.front().toTensor() : from);
  check.look_at_results({target}, 1);
  const int64_t bytes = stand_in::bytes_of(to) + stand_in::bytes_of(from);
  if (to.is_cuda() && from.is_cuda()) {
    count(Cost::operation, "aten::copy_ on the device", bytes);
  } else {
    const auto cost = copies_by_itself(to, from, non_blocking) ? Cost::operation : Cost::wait;
    count(cost, to.is_cuda() ? "aten::copy_ to the device" : "aten::copy_ to the host", bytes);
  }
  return to;
}

// Operators that CUDA computes by a kernel of its own, as the CPU does, but for which libtorch also has a way by other
// operators, for devices that lack such a kernel.
std::vector<std::string> with_kernels_of_their_own() {
  std::vector<std::string> names = {"convolution", "convolution_backward"};
  auto& dispatcher = c10::Dispatcher::singleton();
  for (const auto& name : dispatcher.getAllOpNames()) {
    const auto handle = dispatcher.findOp(name);
    if (name.name.rfind("aten::", 0) == 0 && handle.has_value() &&
        handle->hasKernelForDispatchKey(c10::DispatchKey::CPU) &&
        handle->hasKernelForDispatchKey(c10::DispatchKey::CompositeExplicitAutogradNonFunctional)) {
      names.push_back(c10::toString(name).substr(std::string("aten::").size()));
    }
  }
  return names;
}

}  // namespace
}  // namespace stand_in

TORCH_LIBRARY_IMPL(_, CUDA, library) {
  library.fallback(torch::CppFunction::makeFromBoxedFunction<&stand_in::compute_on_cpu>());
}

TORCH_LIBRARY_IMPL(aten, CUDA, library) {
  library.impl("empty.memory_format", &stand_in::empty);
  library.impl("empty_strided", &stand_in::empty_strided);
  library.impl("copy_", &stand_in::copy);
  // Nothing runs beside anything else here, so no memory can be used again too early.
  library.impl("record_stream", [](at::Tensor&, c10::Stream) {});
  for (const auto& name : stand_in::with_kernels_of_their_own()) {
    library.impl(name.c_str(), torch::CppFunction::makeFromBoxedFunction<&stand_in::compute_on_cpu>());
  }
}
