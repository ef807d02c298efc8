// Kernels of ours for CUDA: compiled at run time, for the GPU that is there, by the NVRTC that comes with libtorch's
// CUDA part. Nothing of CUDA is needed to build this program. `native/` holds the kernels.
#pragma once

#include "bridge.h"

#include <initializer_list>

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

}  // namespace sgas::native
