// Kernels of ours for CUDA: compiled at run time, for the GPU that is there, by the NVRTC that comes with libtorch's
// CUDA part. Nothing of CUDA is needed to build this program. `native/` holds the kernels.
#pragma once

#include "bridge.h"

#include <array>
#include <string>
#include <tuple>

namespace sgas::native {

#include "native/launches.h"

// Blocks of threads, and the bytes of shared memory of each.
struct Grid {
  int64_t blocks;
  int threads;
  int64_t shared = 0;
};

// Starts a kernel on the current stream of the device of `like`, for which kernels were loaded; `arguments` point to the
// kernel's.
void start(const std::string& kernel, const at::Tensor& like, const Grid& grid, at::ArrayRef<const void*> arguments);

// What a kernel is told: numbers as they are, of a tensor where its numbers lie, null where it has none, of a tuple all.
template <class Value>
std::tuple<Value> told(const Value& value) {
  return {value};
}

inline std::tuple<const void*> told(const at::Tensor& tensor) {
  return {tensor.defined() ? tensor.const_data_ptr() : nullptr};
}

template <class... Values>
std::tuple<Values...> told(const std::tuple<Values...>& values) {
  return values;
}

// The same with the kernel's arguments, each of the type that the kernel has it in. Tensors must lie on the device of
// `like`; those that the kernel writes to must be the caller's own.
template <class... Arguments>
void launch(const std::string& kernel, const at::Tensor& like, const Grid& grid, const Arguments&... arguments) {
  std::apply(
      [&](const auto&... values) {
        const std::array<const void*, sizeof...(values)> places{&values...};
        start(kernel, like, grid, places);
      },
      std::tuple_cat(told(arguments)...));
}

// A thread for each of so many numbers.
inline Grid a_thread_each(int64_t numbers) {
  constexpr int threads = 256;
  return {(numbers + threads - 1) / threads, threads};
}

// A warp for each of so many.
inline Grid a_warp_each(int64_t count) {
  constexpr int64_t warp = 32;
  return a_thread_each(count * warp);
}

// Kernels count in 32 bits.
inline uint32_t counted(int64_t numbers) {
  TORCH_CHECK(numbers < int64_t{1} << 31, "kernels take fewer than 2^31 numbers, not ", numbers);
  return static_cast<uint32_t>(numbers);
}

// The kernel of this name for the type of `x`.
inline std::string typed(const char* name, const at::Tensor& x) {
  const auto type = x.scalar_type();
  TORCH_CHECK(type == at::kFloat || type == at::kHalf || type == at::kBFloat16, "kernels take fp32, fp16 and bf16, not ",
              type);
  return std::string(name) + (type == at::kFloat ? "_fp32" : type == at::kHalf ? "_fp16" : "_bf16");
}

}  // namespace sgas::native
