// c10d's process group over NCCL, as a library of its own (`make nccl`): it needs symbols of libtorch_cuda, so the program
// loads it after that.
#define USE_DISTRIBUTED
#define USE_C10D_NCCL
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

// The group, for `intrusive_ptr::reclaim`. Exceptions go to the program, which is of the same compiler's kind.
extern "C" c10d::Backend* sgas_nccl_connect(c10d::Store* store, int64_t rank, int64_t world, int64_t milliseconds) {
  const auto options = c10d::ProcessGroupNCCL::Options::create();
  options->timeout = std::chrono::milliseconds(milliseconds);
  auto shared = c10::intrusive_ptr<c10d::Store>::reclaim_copy(store);
  auto group = c10::make_intrusive<c10d::ProcessGroupNCCL>(
      std::move(shared), static_cast<int>(rank), static_cast<int>(world), options);
  return group.release();
}
