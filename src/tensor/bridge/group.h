// The processes of a run, as c10d connects them.
#pragma once

#include "bridge.h"

#define USE_DISTRIBUTED
#define USE_C10D_GLOO
#include <torch/csrc/distributed/c10d/Backend.hpp>

namespace sgas {

// A store that all processes reach, and what sums tensors of them.
struct Group {
  c10::intrusive_ptr<c10d::Store> store;
  c10::intrusive_ptr<c10d::Backend> backend;
};

// Replaces a tensor by the sum over all processes, the same bits in each; it waits for them.
void all_reduce(Group& group, at::Tensor tensor);

}  // namespace sgas
