// Batch norm whose statistics run over the batches of all processes (synchronised batch norm).
#include "group.h"

#include <torch/csrc/autograd/custom_function.h>

namespace sgas {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Everything but the channels of rows (R, C) or images (B, C, H, W).
std::vector<int64_t> all_but_channels(const at::Tensor& x) {
  return x.dim() == 4 ? std::vector<int64_t>{0, 2, 3} : std::vector<int64_t>{0};
}

// A tensor (C) beside x.
at::Tensor beside(const at::Tensor& channels, const at::Tensor& x) {
  return x.dim() == 4 ? channels.view({1, -1, 1, 1}) : channels.view({1, -1});
}

// Sums are made in fp64, so that it does not matter how samples lie on processes.
struct SyncedNorm : torch::autograd::Function<SyncedNorm> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const std::optional<at::Tensor>& weight,
                            const std::optional<at::Tensor>& bias, at::Tensor running_mean, at::Tensor running_var,
                            double momentum, double epsilon, int64_t group) {
    const auto dims = all_but_channels(x);
    const auto type = x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
    const int64_t channels = x.size(1);
    // Their number, sum, and sum of squares around the running mean, which all processes have alike.
    const auto shift = running_mean.to(type, false, /*copy=*/true);
    const auto around = x.to(type) - beside(shift, x);
    const auto count = at::full({1}, static_cast<double>(x.numel() / channels), x.options().dtype(at::kDouble));
    const auto sum = [&](const at::Tensor& values) { return values.sum(dims, false, at::kDouble); };
    auto sums = at::cat({count, sum(around), sum(around.square())});
    all_reduce(*reinterpret_cast<Group*>(group), sums);
    const auto all = sums.slice(0, 0, 1);
    const auto offset = sums.slice(0, 1, 1 + channels) / all;
    const auto variance = (sums.slice(0, 1 + channels) / all - offset.square()).clamp_min(0);
    running_mean.mul_(1 - momentum).add_((offset + shift.to(at::kDouble)).to(running_mean.scalar_type()), momentum);
    const auto unbiased = variance * (all / (all - 1).clamp_min(1));
    running_var.mul_(1 - momentum).add_(unbiased.to(running_var.scalar_type()), momentum);
    const auto inverse = (variance + epsilon).rsqrt().to(type);
    const auto normed = (around - beside(offset.to(type), x)) * beside(inverse, x);
    auto out = normed;
    if (weight.has_value()) {
      out = normed * beside(weight->to(type), x) + beside(bias->to(type), x);
    }
    ctx->save_for_backward({normed, inverse, all, weight.value_or(at::Tensor())});
    ctx->saved_data["group"] = group;
    return out.to(x.scalar_type());
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    TORCH_CHECK(!at::GradMode::is_enabled(), "a synchronised batch norm has no second derivative");
    const auto saved = ctx->get_saved_variables();
    const auto& weight = saved[3];
    const auto& all = saved[2];
    const auto& normed = saved[0];
    const auto type = normed.scalar_type();
    const auto grad = grads[0].to(type);
    const auto dims = all_but_channels(grad);
    const int64_t channels = grad.size(1);
    const auto of_bias = grad.sum(dims, false, at::kDouble);
    const auto of_weight = (grad * normed).sum(dims, false, at::kDouble);
    auto sums = at::cat({of_bias, of_weight});
    all_reduce(*reinterpret_cast<Group*>(ctx->saved_data["group"].toInt()), sums);
    const auto mean = beside((sums.slice(0, 0, channels) / all).to(type), grad);
    const auto slope = beside((sums.slice(0, channels) / all).to(type), grad);
    const auto scale = weight.defined() ? saved[1] * weight.to(type) : saved[1];
    const auto of_x = ((grad - mean - normed * slope) * beside(scale, grad)).to(grads[0].scalar_type());
    if (!weight.defined()) {
      return {of_x, {}, {}, {}, {}, {}, {}, {}};
    }
    const auto kind = weight.scalar_type();
    return {of_x, of_weight.to(kind), of_bias.to(kind), {}, {}, {}, {}, {}};
  }
};

std::optional<at::Tensor> optional(const at::Tensor* tensor) {
  return tensor == nullptr ? std::nullopt : std::optional<at::Tensor>(*tensor);
}

}  // namespace
}  // namespace sgas

extern "C" {

// `norm`: scale, shift (null where there are none), running mean, running variance.
char* sgas_synced_norm(at::Tensor** out, const at::Tensor* x, const at::Tensor* const* norm, double momentum,
                       double epsilon, sgas::Group* group) {
  return sgas::guarded([&] {
    TORCH_CHECK(x->dim() == 2 || x->dim() == 4, "expected rows or images, found ", x->dim(), " dimensions");
    sgas::give(out, sgas::SyncedNorm::apply(*x, sgas::optional(norm[0]), sgas::optional(norm[1]), *norm[2], *norm[3],
                                            momentum, epsilon, reinterpret_cast<int64_t>(group)));
  });
}

}  // extern "C"
