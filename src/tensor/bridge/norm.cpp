// Batch norm of a ReLU over rows, the tail of the blocks conv → ReLU → norm, and what edge_norm.cpp shares. The
// activation is not stored: backward computes it from the input again.
#include "norm.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <cmath>

namespace sgas {
namespace {

// y = ReLU(x) · factor + summand, per channel.
template <class T>
struct ReluAffine {
  using Element = T;
  int64_t channels;
  const T* x;
  const T* factor;
  const T* summand;
  T* out;

  template <int Bytes>
  SGAS_INLINE void run(int64_t begin, int64_t end) const {
    over_channels<Bytes>(*this, begin, end, cached_rows);
  }

  template <int Bytes>
  SGAS_INLINE void block(int64_t begin, int64_t end, int64_t channel) const {
    using V = Vector<T, Bytes>;
    const auto scale = V::load(factor + channel);
    const auto offset = V::load(summand + channel);
    for (int64_t row = begin; row < end; ++row) {
      V::store(out + row * channels + channel, V::relu(V::load(x + row * channels + channel)) * scale + offset);
    }
  }
};

}  // namespace

at::Tensor per_channel(const std::vector<double>& values) {
  auto tensor = at::empty({static_cast<int64_t>(values.size())}, at::kDouble);
  std::copy(values.begin(), values.end(), tensor.mutable_data_ptr<double>());
  return tensor;
}

std::vector<double> per_channel(const at::Tensor& tensor) {
  const auto wide = tensor.to(at::kDouble).contiguous();
  const double* values = wide.const_data_ptr<double>();
  return {values, values + wide.numel()};
}

Statistics statistics(const Norm& norm, const std::vector<double>& shift, const Sums* sums, int64_t count) {
  Statistics found{per_channel(norm.running_mean), per_channel(norm.running_var)};
  if (sums != nullptr) {
    TORCH_CHECK(count > 1, "expected more than one value per channel in training");
    const auto first = sums->total(0);
    const auto second = sums->total(1);
    for (size_t channel = 0; channel < shift.size(); ++channel) {
      const double offset = first[channel] / static_cast<double>(count);
      found.mean[channel] = shift[channel] + offset;
      // Not a number must stay one, which std::max would not grant the other way round.
      found.scale[channel] = std::max(second[channel] / static_cast<double>(count) - offset * offset, 0.0);
    }
    const double unbiased = static_cast<double>(count) / static_cast<double>(count - 1);
    const auto type = norm.running_mean.scalar_type();
    auto mean = norm.running_mean;
    auto variance = norm.running_var;
    mean.mul_(1 - norm.momentum).add_(per_channel(found.mean).to(type), norm.momentum);
    variance.mul_(1 - norm.momentum).add_(per_channel(found.scale).to(type), norm.momentum * unbiased);
  }
  for (double& value : found.scale) {
    value = 1 / std::sqrt(value + norm.epsilon);
  }
  return found;
}

at::Tensor normalised(const at::Tensor& x, const Norm& norm, const Statistics& found) {
  auto factor = per_channel(norm.weight);
  auto summand = per_channel(norm.bias);
  for (size_t channel = 0; channel < factor.size(); ++channel) {
    factor[channel] *= found.scale[channel];
    summand[channel] -= found.mean[channel] * factor[channel];
  }
  auto out = at::empty_like(x);
  by_type(x, [&](auto zero) {
    using T = decltype(zero);
    const auto factors = narrow<T>(factor);
    const auto summands = narrow<T>(summand);
    const ReluAffine<T> kernel{x.size(1), x.const_data_ptr<T>(), factors.data(), summands.data(),
                               out.mutable_data_ptr<T>()};
    parallel(kernel, x.size(0), kernel.channels);
  });
  return out;
}

Gradients gradients(const at::Tensor& grad, const at::Tensor& x, const at::Tensor& weight, const at::Tensor& mean,
                    const at::Tensor& scale, bool training, int64_t count) {
  Sums sums(chunks(x.size(0)), x.size(1));
  const auto means = per_channel(mean);
  by_type(x, [&](auto zero) {
    using T = decltype(zero);
    const auto narrow_means = narrow<T>(means);
    const GradientMoments<T> kernel{x.size(1), x.size(0), grad.const_data_ptr<T>(), x.const_data_ptr<T>(),
                                    narrow_means.data(), T(0), &sums};
    parallel(kernel, chunks(x.size(0)), chunk_rows * kernel.channels);
  });
  const auto scales = per_channel(scale);
  const auto bias_gradient = sums.total(0);
  auto weight_gradient = sums.total(1);
  Gradients found{per_channel(weight), std::vector<double>(means.size()), std::vector<double>(means.size()), {}, {}};
  for (size_t channel = 0; channel < means.size(); ++channel) {
    weight_gradient[channel] *= scales[channel];
    found.factor[channel] *= scales[channel];
    if (training) {
      const double share = found.factor[channel] / static_cast<double>(count);
      found.slope[channel] = share * weight_gradient[channel] * scales[channel];
      found.constant[channel] = share * bias_gradient[channel] - found.slope[channel] * means[channel];
    }
  }
  found.weight = per_channel(weight_gradient).to(weight.scalar_type());
  found.bias = per_channel(bias_gradient).to(weight.scalar_type());
  return found;
}

Norm checked_norm(const at::Tensor* const* tensors, int64_t channels, int training, double momentum, double epsilon) {
  const char* names[] = {"weight", "bias", "running mean", "running variance"};
  for (int which = 0; which < 4; ++which) {
    TORCH_CHECK(tensors[which] != nullptr, "expected a norm with ", names[which]);
    check_cpu({tensors[which]});
    check_channels(*tensors[which], channels, names[which]);
  }
  // Without history: forward runs outside of autograd, and backward uses what forward saved.
  return {tensors[0]->detach(), tensors[1]->detach(), *tensors[2], *tensors[3], training != 0, momentum, epsilon};
}

namespace {

struct ReluNorm : torch::autograd::Function<ReluNorm> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& weight,
                            const at::Tensor&, const Norm& norm) {
    const int64_t channels = x.size(1);
    Sums sums(chunks(x.size(0)), channels);
    std::vector<double> shift(channels);
    if (norm.training) {
      by_type(x, [&](auto zero) {
        using T = decltype(zero);
        std::vector<T> offsets(channels);
        for (int64_t channel = 0; channel < channels; ++channel) {
          offsets[channel] = std::max(x.const_data_ptr<T>()[channel], T(0));
          shift[channel] = static_cast<double>(offsets[channel]);
        }
        const Moments<T> kernel{channels, x.size(0), x.const_data_ptr<T>(), offsets.data(), T(0), &sums};
        parallel(kernel, chunks(x.size(0)), chunk_rows * channels);
      });
    }
    const auto found = statistics(norm, shift, norm.training ? &sums : nullptr, x.size(0));
    ctx->save_for_backward({x, weight, per_channel(found.mean), per_channel(found.scale)});
    ctx->saved_data["training"] = norm.training;
    return normalised(x, norm, found);
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    check_first_order();
    const auto saved = ctx->get_saved_variables();
    const auto& x = saved[0];
    const auto grad = grads[0].contiguous();
    const auto found =
        gradients(grad, x, saved[1], saved[2], saved[3], ctx->saved_data["training"].toBool(), x.size(0));
    at::Tensor grad_x;
    if (ctx->needs_input_grad(0)) {
      grad_x = at::empty_like(x);
      by_type(x, [&](auto zero) {
        using T = decltype(zero);
        const auto factor = narrow<T>(found.factor);
        const auto constant = narrow<T>(found.constant);
        const auto slope = narrow<T>(found.slope);
        const NormGradient<T> kernel{x.size(1), grad.const_data_ptr<T>(), x.const_data_ptr<T>(), factor.data(),
                                     constant.data(), slope.data(), T(0), grad_x.mutable_data_ptr<T>()};
        parallel(kernel, x.size(0), kernel.channels);
      });
    }
    return {grad_x, found.weight, found.bias, {}};
  }
};

}  // namespace
}  // namespace sgas

extern "C" {

// `norm` as `checked_norm` takes it.
char* sgas_relu_norm(at::Tensor** out, const at::Tensor* x, const at::Tensor* const* norm, int training,
                     double momentum, double epsilon) {
  return sgas::guarded([&] {
    sgas::check_cpu({x});
    sgas::check_rows(*x);
    TORCH_CHECK(x->size(0) > 0, "expected at least one row");
    const auto checked = sgas::checked_norm(norm, x->size(1), training, momentum, epsilon);
    const auto result = sgas::ReluNorm::apply(sgas::widen(*x), *norm[0], *norm[1], checked);
    sgas::give(out, result.to(x->scalar_type()));
  });
}

}  // extern "C"
