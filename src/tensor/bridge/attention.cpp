// One head of graph attention (Velickovic et al., 2018): sums over the neighbours of a point with a weight per pair. Of
// the pairs only numbers, (R, k), are stored, no features.
#include "kernels.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>
#include <limits>

namespace sgas {
namespace {

// The gradient of a pair's weight: <gradient of the point, features of the neighbour>.
template <class T>
struct PairProducts {
  Neighbourhood list;
  int64_t channels;
  const T* grad;
  const T* x;
  T* out;

  template <int Bytes>
  SGAS_INLINE void run(int64_t begin, int64_t end) const {
    for (int64_t pair = begin * list.k; pair < end * list.k; ++pair) {
      out[pair] = dot<Bytes>(grad + pair / list.k * channels, x + list.index[pair] * channels, channels);
    }
  }
};

at::Tensor pair_products(const at::Tensor& grad, const at::Tensor& x, const Neighbourhood& list) {
  auto out = at::empty({list.rows(), list.k}, x.options());
  by_type(x, [&](auto zero) {
    using T = decltype(zero);
    const PairProducts<T> kernel{list, x.size(1), grad.const_data_ptr<T>(), x.const_data_ptr<T>(), out.mutable_data_ptr<T>()};
    parallel(kernel, list.rows(), list.k * kernel.channels);
  });
  return out;
}

// Softmax over the neighbours of LeakyReLU(t_i + s_j).
template <class T>
struct AttentionWeights {
  Neighbourhood list;
  T slope;
  const T* target;
  const T* source;
  T* out;

  template <int Bytes>
  SGAS_INLINE void run(int64_t begin, int64_t end) const {
    for (int64_t point = begin; point < end; ++point) {
      const int64_t* index = list.index + point * list.k;
      T* weights = out + point * list.k;
      T greatest = -std::numeric_limits<T>::infinity();
      for (int64_t j = 0; j < list.k; ++j) {
        const T score = target[point] + source[index[j]];
        weights[j] = score > 0 ? score : slope * score;
        greatest = std::max(greatest, weights[j]);
      }
      T sum{};
      for (int64_t j = 0; j < list.k; ++j) {
        weights[j] = std::exp(weights[j] - greatest);
        sum += weights[j];
      }
      for (int64_t j = 0; j < list.k; ++j) {
        weights[j] /= sum;
      }
    }
  }
};

template <class T>
struct ScoresBackward {
  Neighbourhood list;
  T slope;
  const T* target;
  const T* source;
  const T* weights;
  const T* products;
  T* grad_target;
  T* grad_source;  // zeros

  template <int Bytes>
  SGAS_INLINE void run(int64_t begin, int64_t end) const {
    for (int64_t point = begin * list.points; point < end * list.points; ++point) {
      const int64_t start = point * list.k;
      T mean{};
      for (int64_t pair = start; pair < start + list.k; ++pair) {
        mean += weights[pair] * products[pair];
      }
      T sum{};
      for (int64_t pair = start; pair < start + list.k; ++pair) {
        const int64_t neighbour = list.index[pair];
        const T slant = target[point] + source[neighbour] > 0 ? T(1) : slope;
        const T grad = weights[pair] * (products[pair] - mean) * slant;
        sum += grad;
        grad_source[neighbour] += grad;
      }
      grad_target[point] = sum;
    }
  }
};

at::Tensor attention_weights(
    const at::Tensor& target, const at::Tensor& source, double slope, const Neighbourhood& list) {
  auto weights = at::empty({list.rows(), list.k}, target.options());
  by_type(target, [&](auto zero) {
    using T = decltype(zero);
    const AttentionWeights<T> kernel{list, static_cast<T>(slope), target.const_data_ptr<T>(),
                                     source.const_data_ptr<T>(), weights.mutable_data_ptr<T>()};
    // An exponential is worth about ten other operations.
    parallel(kernel, list.rows(), 10 * list.k);
  });
  return weights;
}

struct Attention : torch::autograd::Function<Attention> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& h, const at::Tensor& target,
                            const at::Tensor& source, const at::Tensor& neighbours, int64_t clouds, double slope) {
    const auto list = neighbourhood(neighbours, clouds, false);
    const auto weights = attention_weights(target, source, slope, list);
    ctx->save_for_backward({h, target, source, neighbours, weights});
    ctx->saved_data["clouds"] = clouds;
    ctx->saved_data["slope"] = slope;
    return sum_forward(h, weights, list);
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    check_first_order();
    const auto saved = ctx->get_saved_variables();
    const auto list = neighbourhood(saved[3], ctx->saved_data["clouds"].toInt(), false);
    const auto grad = grads[0].contiguous();
    at::Tensor grad_h, grad_target, grad_source;
    if (ctx->needs_input_grad(0)) {
      grad_h = sum_backward(grad, saved[4], list);
    }
    if (ctx->needs_input_grad(1) || ctx->needs_input_grad(2)) {
      const auto products = pair_products(grad, saved[0], list);
      grad_target = at::empty_like(saved[1]);
      grad_source = at::zeros_like(saved[2]);
      by_type(grad, [&](auto zero) {
        using T = decltype(zero);
        const ScoresBackward<T> kernel{list, static_cast<T>(ctx->saved_data["slope"].toDouble()),
                                       saved[1].const_data_ptr<T>(), saved[2].const_data_ptr<T>(),
                                       saved[4].const_data_ptr<T>(), products.const_data_ptr<T>(),
                                       grad_target.mutable_data_ptr<T>(), grad_source.mutable_data_ptr<T>()};
        parallel(kernel, list.clouds, list.points * list.k);
      });
    }
    return {grad_h, grad_target, grad_source, {}, {}, {}};
  }
};

}  // namespace
}  // namespace sgas

extern "C" {

char* sgas_attention(at::Tensor** out, const at::Tensor* h, const at::Tensor* target, const at::Tensor* source,
                     const at::Tensor* neighbours, int64_t clouds, double slope) {
  return sgas::guarded([&] {
    sgas::check_cpu({h, target, source, neighbours});
    sgas::check_rows(*h);
    sgas::checked_neighbourhood(*h, *neighbours, clouds, false);
    sgas::check_channels(*target, h->size(0), "target scores");
    sgas::check_channels(*source, h->size(0), "source scores");
    const auto wide = sgas::widen(*h);
    const auto wide_target = target->to(wide.scalar_type()).contiguous();
    const auto wide_source = source->to(wide.scalar_type()).contiguous();
    const auto result = sgas::Attention::apply(wide, wide_target, wide_source, *neighbours, clouds, slope);
    sgas::give(out, sgas::as_type(result, h->scalar_type()));
  });
}

}  // extern "C"
