// Kernels of ours for CUDA: compiled at run time, for the GPU that is there, by the NVRTC that comes with libtorch's
// CUDA part. Nothing of CUDA is needed to build this program. `native/` holds the kernels.
#pragma once

#include "bridge.h"

#include <initializer_list>
#include <string>

namespace sgas::native {

// Blocks of threads, and the bytes of shared memory of each.
struct Grid {
  int64_t blocks;
  int threads;
  int64_t shared = 0;
};

// Starts a kernel on the current stream of the device of `like`, for which kernels were loaded; `arguments` point to the
// kernel's. The tensors behind them must lie on that device.
void launch(const char* kernel, const at::Tensor& like, const Grid& grid, std::initializer_list<const void*> arguments);

// A thread for each of so many numbers.
inline Grid a_thread_each(int64_t numbers) {
  constexpr int threads = 256;
  return {(numbers + threads - 1) / threads, threads};
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
