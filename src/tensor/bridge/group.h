// The processes of a run, as c10d connects them.
#pragma once

#include "bridge.h"

#define USE_DISTRIBUTED
#define USE_C10D_GLOO
#include <torch/csrc/distributed/c10d/Backend.hpp>

#include <chrono>
#include <deque>

namespace sgas {

// A store that all processes reach, and what sums tensors of them.
struct Group {
  c10::intrusive_ptr<c10d::Store> store;
  // Tensors in host memory, by Gloo.
  c10::intrusive_ptr<c10d::Backend> in_host;
  // Tensors of GPUs, by NCCL; null where those go through host memory.
  c10::intrusive_ptr<c10d::Backend> on_gpus;
  // Sums on GPUs that may still be on their way: the host does not wait for them.
  std::deque<c10::intrusive_ptr<c10d::Work>> pending;
  std::chrono::milliseconds patience{0};

  // Whether a sum of this tensor goes on while the program does.
  bool sums_beside(const at::Tensor& tensor) const {
    return tensor.is_cpu() || on_gpus.defined();
  }
};

// Begins to replace a contiguous tensor by the sum over all processes, the same bits in each. The tensor must be one that
// `sums_beside` names.
c10::intrusive_ptr<c10d::Work> begin_sum(Group& group, const at::Tensor& tensor);

// Waits for such a sum: the program where it is in host memory, and the GPU's stream where it is there.
void end_sum(Group& group, const c10::intrusive_ptr<c10d::Work>& work, const at::Tensor& tensor);

// Both, of any tensor.
void all_reduce(Group& group, at::Tensor tensor);

}  // namespace sgas
