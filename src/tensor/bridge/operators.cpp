// Operators of libtorch that tch offers without their arguments.
#include "bridge.h"

extern "C" {

char* sgas_leaky_relu(at::Tensor* x, double slope, at::Tensor** out) {
  return sgas::guarded([&] { sgas::give(out, at::leaky_relu(*x, slope)); });
}

}  // extern "C"
