// What tch lacks of single tensors: operators with all their arguments, and versions.
#include "bridge.h"

#include <torch/csrc/autograd/variable.h>

extern "C" {

char* sgas_leaky_relu(at::Tensor* x, double slope, at::Tensor** out) {
  return sgas::guarded([&] { sgas::give(out, at::leaky_relu(*x, slope)); });
}

char* sgas_share_version(const at::Tensor* leaf, const at::Tensor* whole) {
  return sgas::guarded([&] {
    namespace impl = torch::autograd::impl;
    impl::set_version_counter(*leaf, impl::version_counter(*whole));
  });
}

}  // extern "C"
