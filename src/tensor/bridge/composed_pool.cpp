// Mean pooling with a gradient that is right on every device.
#include "composed.h"

#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/avg_pool2d_backward.h>

namespace sgas {
namespace {

constexpr int64_t kernel = 3;
constexpr int64_t padding = 1;

// The mean over 3x3 pixels, of those inside the image. CUDA's own gradient is wrong, without an error, where images lie
// channels-last and are padded (libtorch 2.11, pytorch/pytorch#188344; seen on an H100), so it is computed in the usual
// layout and brought back.
struct MeanPool : torch::autograd::Function<MeanPool> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, int64_t stride) {
    ctx->saved_data["stride"] = stride;
    ctx->saved_data["shape"] = x.sizes().vec();
    ctx->saved_data["layout"] = static_cast<int64_t>(x.suggest_memory_format());
    return at::avg_pool2d(x, {kernel, kernel}, {stride, stride}, {padding, padding}, false, false);
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    check_first_order();
    const auto stride = ctx->saved_data["stride"].toInt();
    // Of the input only shape and layout are read.
    const auto input = at::empty(ctx->saved_data["shape"].toIntVector(), grads[0].options());
    const auto grad = at::avg_pool2d_backward(grads[0].contiguous(), input, {kernel, kernel}, {stride, stride},
                                              {padding, padding}, false, false, std::nullopt);
    return {grad.contiguous(static_cast<at::MemoryFormat>(ctx->saved_data["layout"].toInt())), {}};
  }
};

}  // namespace
}  // namespace sgas

extern "C" {

char* sgas_composed_mean_pool(at::Tensor** out, const at::Tensor* x, int64_t stride) {
  return sgas::guarded([&] { sgas::give(out, sgas::MeanPool::apply(*x, stride)); });
}

}  // extern "C"
