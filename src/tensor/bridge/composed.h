// What the composed operations share: several operators of libtorch as one node of autograd, with a backward pass of
// our own, for devices without kernels of ours. A GPU starts a kernel per operator, and small networks take longer to
// start than to compute; so the aim is few operators, forward and backward.
#pragma once

#include "kernels.h"

#include <ATen/autocast_mode.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

#include <map>
#include <mutex>
#include <tuple>

namespace sgas {

// Operators take their inputs as they are while it lives: forward passes cast by themselves where they want it.
struct NoAutocast {
  c10::impl::ExcludeDispatchKeyGuard guard{c10::autocast_dispatch_keyset};
};

// The type that autocast computes products in on the device of `x`; its own where there is none.
inline at::ScalarType product_type(const at::Tensor& x) {
  const auto device = x.device().type();
  return at::autocast::is_autocast_enabled(device) ? at::autocast::get_autocast_dtype(device) : x.scalar_type();
}

// (size) zeros that nobody writes to, made once; they are never freed, since CUDA may go first.
inline at::Tensor zeros_of(int64_t size, const at::TensorOptions& options) {
  static auto& known = *new std::map<std::tuple<int64_t, int64_t, int64_t, at::ScalarType>, at::Tensor>;
  static std::mutex turn;
  const auto device = options.device();
  const std::lock_guard<std::mutex> held(turn);
  auto& zeros = known[{size, static_cast<int64_t>(device.type()), device.index(), c10::typeMetaToScalarType(options.dtype())}];
  if (!zeros.defined()) {
    zeros = at::zeros({size}, options);
  }
  return zeros;
}

}  // namespace sgas
