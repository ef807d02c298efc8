// Batch norm of a (leaky) ReLU over rows, the tail of the blocks conv → activation → norm, and what edge_norm.cpp
// shares. The activation is not stored: backward computes it from the input again. All passes go row by row: down a
// column of vectors of wide rows every step would meet another page.
#include "norm.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <cmath>

namespace sgas {
namespace {

// Two sums per chunk of rows and channel: `kernel.add<Bytes>` adds a vector of a row to both.
template <int Bytes, class Kernel>
SGAS_INLINE void sum_chunks(const Kernel& kernel, int64_t begin, int64_t end) {
  using T = typename Kernel::Element;
  std::vector<T> partial(2 * kernel.channels);
  T* first = partial.data();
  T* second = first + kernel.channels;
  for (int64_t chunk = begin; chunk < end; ++chunk) {
    const int64_t stop = std::min(kernel.rows, (chunk + 1) * chunk_rows);
    for (int64_t start = chunk * chunk_rows; start < stop; start += flush_rows) {
      std::fill(partial.begin(), partial.end(), T(0));
      for (int64_t row = start; row < std::min(stop, start + flush_rows); ++row) {
        constexpr int64_t lanes = Vector<T, Bytes>::lanes;
        int64_t channel = 0;
        for (; channel + lanes <= kernel.channels; channel += lanes) {
          kernel.template add<Bytes>(row, channel, first + channel, second + channel);
        }
        for (; channel < kernel.channels; ++channel) {
          kernel.template add<sizeof(T)>(row, channel, first + channel, second + channel);
        }
      }
      for (int64_t channel = 0; channel < kernel.channels; ++channel) {
        kernel.sums->at(chunk, 0)[channel] += static_cast<double>(first[channel]);
        kernel.sums->at(chunk, 1)[channel] += static_cast<double>(second[channel]);
      }
    }
  }
}

// act(x): shifted sum and sum of squares.
template <class T>
struct Moments {
  using Element = T;
  int64_t channels;
  int64_t rows;
  T leak;
  const T* x;
  const T* shift;
  Sums* sums;

  template <int Bytes>
  SGAS_INLINE void run(int64_t begin, int64_t end) const {
    sum_chunks<Bytes>(*this, begin, end);
  }

  template <int Bytes>
  SGAS_INLINE void add(int64_t row, int64_t channel, T* sum, T* squares) const {
    using V = Vector<T, Bytes>;
    const auto value = V::leaky_relu(V::load(x + row * channels + channel), leak) - V::load(shift + channel);
    V::store(sum, V::load(sum) + value);
    V::store(squares, V::load(squares) + value * value);
  }
};

// y = act(x) · factor + summand, per channel.
template <class T>
struct Affine {
  using Element = T;
  int64_t channels;
  T leak;
  const T* x;
  const T* factor;
  const T* summand;
  T* out;

  template <int Bytes>
  SGAS_INLINE void run(int64_t begin, int64_t end) const {
    over_channels<Bytes>(*this, begin, end, 1);
  }

  template <int Bytes>
  SGAS_INLINE void block(int64_t begin, int64_t end, int64_t channel) const {
    using V = Vector<T, Bytes>;
    const auto scale = V::load(factor + channel);
    const auto offset = V::load(summand + channel);
    for (int64_t row = begin; row < end; ++row) {
      const auto value = V::leaky_relu(V::load(x + row * channels + channel), leak);
      V::store(out + row * channels + channel, value * scale + offset);
    }
  }
};

// Sums of dy and of dy · (act(x) − mean).
template <class T>
struct GradientMoments {
  using Element = T;
  int64_t channels;
  int64_t rows;
  T leak;
  const T* grad;
  const T* x;
  const T* mean;
  Sums* sums;

  template <int Bytes>
  SGAS_INLINE void run(int64_t begin, int64_t end) const {
    sum_chunks<Bytes>(*this, begin, end);
  }

  template <int Bytes>
  SGAS_INLINE void add(int64_t row, int64_t channel, T* sum, T* products) const {
    using V = Vector<T, Bytes>;
    const auto dy = V::load(grad + row * channels + channel);
    const auto value = V::leaky_relu(V::load(x + row * channels + channel), leak) - V::load(mean + channel);
    V::store(sum, V::load(sum) + dy);
    V::store(products, V::load(products) + dy * value);
  }
};

// dx = act'(x) · (factor · dy − constant − slope · act(x)).
template <class T>
struct InputGradient {
  using Element = T;
  int64_t channels;
  T leak;
  const T* grad;
  const T* x;
  const T* factor;
  const T* constant;
  const T* slope;
  T* grad_x;

  template <int Bytes>
  SGAS_INLINE void run(int64_t begin, int64_t end) const {
    over_channels<Bytes>(*this, begin, end, 1);
  }

  template <int Bytes>
  SGAS_INLINE void block(int64_t begin, int64_t end, int64_t channel) const {
    using V = Vector<T, Bytes>;
    const auto scale = V::load(factor + channel);
    const auto offset = V::load(constant + channel);
    const auto along = V::load(slope + channel);
    for (int64_t row = begin; row < end; ++row) {
      const auto value = V::load(x + row * channels + channel);
      const auto activated = V::leaky_relu(value, leak);
      const auto dy = V::load(grad + row * channels + channel) * scale - offset - activated * along;
      V::store(grad_x + row * channels + channel, value > T(0) ? dy : (leak == T(0) ? typename V::type{} : dy * leak));
    }
  }
};

int64_t chunks(int64_t rows) {
  return (rows + chunk_rows - 1) / chunk_rows;
}

}  // namespace

at::Tensor per_channel(const std::vector<double>& values, at::ScalarType type) {
  auto tensor = at::empty({static_cast<int64_t>(values.size())}, type == at::kDouble ? at::kDouble : at::kFloat);
  by_type(tensor, [&](auto zero) {
    std::copy(values.begin(), values.end(), tensor.mutable_data_ptr<decltype(zero)>());
  });
  return as_type(tensor, type);
}

std::vector<double> per_channel(const at::Tensor& tensor) {
  const auto wide = widen(tensor);
  std::vector<double> values(wide.numel());
  by_type(wide, [&](auto zero) {
    std::copy_n(wide.const_data_ptr<decltype(zero)>(), wide.numel(), values.begin());
  });
  return values;
}

namespace {

// Moves running statistics towards `share` times those of the batch.
void move_towards(const at::Tensor& running, const std::vector<double>& batch, double momentum, double share) {
  by_type(running, [&](auto zero) {
    auto* values = running.mutable_data_ptr<decltype(zero)>();
    for (size_t channel = 0; channel < batch.size(); ++channel) {
      const double moved = (1 - momentum) * static_cast<double>(values[channel]) + momentum * share * batch[channel];
      values[channel] = static_cast<decltype(zero)>(moved);
    }
  });
}

}  // namespace

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
    move_towards(norm.running_mean, found.mean, norm.momentum, 1);
    move_towards(norm.running_var, found.scale, norm.momentum, unbiased);
  }
  for (double& value : found.scale) {
    value = 1 / std::sqrt(value + norm.epsilon);
  }
  return found;
}

at::Tensor normalised(const at::Tensor& x, const Norm& norm, const Statistics& found, double leak) {
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
    const Affine<T> kernel{x.size(1), static_cast<T>(leak), x.const_data_ptr<T>(), factors.data(), summands.data(),
                           out.mutable_data_ptr<T>()};
    parallel(kernel, x.size(0), kernel.channels);
  });
  return out;
}

Gradients gradients(const at::Tensor& grad, const at::Tensor& x, const at::Tensor& weight, const at::Tensor& mean,
                    const at::Tensor& scale, bool training, int64_t count, double leak) {
  Sums sums(chunks(x.size(0)), x.size(1));
  const auto means = per_channel(mean);
  by_type(x, [&](auto zero) {
    using T = decltype(zero);
    const auto narrow_means = narrow<T>(means);
    const GradientMoments<T> kernel{x.size(1), x.size(0), static_cast<T>(leak), grad.const_data_ptr<T>(),
                                    x.const_data_ptr<T>(), narrow_means.data(), &sums};
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
  found.weight = per_channel(weight_gradient, weight.scalar_type());
  found.bias = per_channel(bias_gradient, weight.scalar_type());
  return found;
}

Norm checked_norm(const at::Tensor* const* tensors, int64_t channels, int training, double momentum, double epsilon) {
  check_cpu({tensors[0], tensors[1], tensors[2], tensors[3]});
  const char* names[] = {"weight", "bias", "running mean", "running variance"};
  for (int which = 0; which < 4; ++which) {
    check_channels(*tensors[which], channels, names[which]);
  }
  for (int which = 2; which < 4; ++which) {
    const auto type = tensors[which]->scalar_type();
    TORCH_CHECK((type == at::kFloat || type == at::kDouble) && tensors[which]->is_contiguous(), "expected the ",
                names[which], " contiguous in fp32 or fp64, found ", type);
  }
  // Without history: forward runs outside of autograd, and backward uses what forward saved.
  return {tensors[0]->detach(), tensors[1]->detach(), *tensors[2], *tensors[3], training != 0, momentum, epsilon};
}

namespace {

struct ReluNorm : torch::autograd::Function<ReluNorm> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, double leak, const at::Tensor& weight,
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
        const Moments<T> kernel{channels, x.size(0), static_cast<T>(leak), x.const_data_ptr<T>(), offsets.data(), &sums};
        parallel(kernel, chunks(x.size(0)), chunk_rows * channels);
      });
    }
    const auto found = statistics(norm, shift, norm.training ? &sums : nullptr, x.size(0));
    ctx->save_for_backward({x, weight, per_channel(found.mean), per_channel(found.scale)});
    ctx->saved_data["training"] = norm.training;
    ctx->saved_data["leak"] = leak;
    return normalised(x, norm, found, leak);
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    check_first_order();
    const auto saved = ctx->get_saved_variables();
    const auto& x = saved[0];
    const auto grad = grads[0].contiguous();
    const double leak = ctx->saved_data["leak"].toDouble();
    const auto found =
        gradients(grad, x, saved[1], saved[2], saved[3], ctx->saved_data["training"].toBool(), x.size(0), leak);
    at::Tensor grad_x;
    if (ctx->needs_input_grad(0)) {
      grad_x = at::empty_like(x);
      by_type(x, [&](auto zero) {
        using T = decltype(zero);
        const auto factor = narrow<T>(found.factor);
        const auto constant = narrow<T>(found.constant);
        const auto slope = narrow<T>(found.slope);
        const InputGradient<T> kernel{x.size(1), static_cast<T>(leak), grad.const_data_ptr<T>(), x.const_data_ptr<T>(),
                                      factor.data(), constant.data(), slope.data(), grad_x.mutable_data_ptr<T>()};
        parallel(kernel, x.size(0), kernel.channels);
      });
    }
    return {grad_x, {}, found.weight, found.bias, {}};
  }
};

}  // namespace
}  // namespace sgas

extern "C" {

// `leak` is the activation's slope below zero; `norm` as `checked_norm` takes it.
char* sgas_relu_norm(at::Tensor** out, const at::Tensor* x, double leak, const at::Tensor* const* norm, int training,
                     double momentum, double epsilon) {
  return sgas::guarded([&] {
    sgas::check_cpu({x});
    sgas::check_rows(*x);
    TORCH_CHECK(x->size(0) > 0, "expected at least one row");
    const auto checked = sgas::checked_norm(norm, x->size(1), training, momentum, epsilon);
    const auto result = sgas::ReluNorm::apply(sgas::widen(*x), leak, *norm[0], *norm[1], checked);
    sgas::give(out, sgas::as_type(result, x->scalar_type()));
  });
}

}  // extern "C"
