// The tail of edge_conv: ReLU, batch norm over all pairs (point, neighbour), maximum over the neighbours. No pair is
// stored: forward keeps the selected activation per point and channel, backward computes the pairs again.
#include "norm.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

namespace sgas {
namespace {

// r = ReLU(a_i + b_j) over the pairs of a cloud: the value that batch norm will make the greatest (the greatest r
// where the weight is positive, the smallest where it is negative, else the first), and the shifted sums.
template <class T, bool Training>
struct EdgeForward {
  using Element = T;
  Neighbourhood list;
  int64_t channels;
  const T* a;
  const T* b;
  const T* sign;
  const T* shift;
  T* selected;
  Sums* sums;

  template <int Bytes>
  SGAS_INLINE void run(int64_t begin, int64_t end) const {
    over_channels<Bytes>(*this, begin, end, 1);
  }

  template <int Bytes>
  SGAS_INLINE void block(int64_t begin, int64_t end, int64_t channel) const {
    using V = Vector<T, Bytes>;
    const auto direction = V::load(sign + channel);
    const auto offset = V::load(shift + channel);
    for (int64_t cloud = begin; cloud < end; ++cloud) {
      typename V::type sum{}, squares{};
      for (int64_t point = cloud * list.points; point < (cloud + 1) * list.points; ++point) {
        const int64_t* index = list.index + point * list.k;
        const auto own = V::load(a + point * channels + channel);
        auto best = V::relu(own + V::load(b + index[list.first] * channels + channel));
        sum += best - offset;
        squares += (best - offset) * (best - offset);
        for (int64_t j = list.first + 1; j < list.k; ++j) {
          const auto value = V::relu(own + V::load(b + index[j] * channels + channel));
          best = direction * value > direction * best ? value : best;
          if constexpr (Training) {
            sum += value - offset;
            squares += (value - offset) * (value - offset);
          } else {
            // In training the sums hand on what is not a number.
            best = value != value ? value : best;
          }
        }
        V::store(selected + point * channels + channel, best);
        if (Training && (point + 1) % flush_rows == 0) {
          V::flush(sums->at(cloud, 0) + channel, sum);
          V::flush(sums->at(cloud, 1) + channel, squares);
        }
      }
      if constexpr (Training) {
        V::flush(sums->at(cloud, 0) + channel, sum);
        V::flush(sums->at(cloud, 1) + channel, squares);
      }
    }
  }
};

// Gradients of a and b: per pair with r > 0, factor · dy where it is the selected one, − constant − slope · r.
template <class T>
struct EdgeBackward {
  using Element = T;
  Neighbourhood list;
  int64_t channels;
  const T* grad;
  const T* a;
  const T* b;
  const T* selected;
  const T* factor;
  const T* constant;
  const T* slope;
  T* grad_a;
  T* grad_b;

  template <int Bytes>
  SGAS_INLINE void run(int64_t begin, int64_t end) const {
    for (int64_t cloud = begin; cloud < end; ++cloud) {
      clear_cloud(grad_b, cloud, list.points, channels);
      over_channels<Bytes>(*this, cloud * list.points, (cloud + 1) * list.points, cached_rows);
    }
  }

  template <int Bytes>
  SGAS_INLINE void block(int64_t begin, int64_t end, int64_t channel) const {
    using V = Vector<T, Bytes>;
    const auto scale = V::load(factor + channel);
    const auto offset = V::load(constant + channel);
    const auto along = V::load(slope + channel);
    for (int64_t point = begin; point < end; ++point) {
      const int64_t* index = list.index + point * list.k;
      const auto own = V::load(a + point * channels + channel);
      const auto chosen = V::load(selected + point * channels + channel);
      auto rest = V::load(grad + point * channels + channel) * scale;
      typename V::type sum{};
      for (int64_t j = list.first; j < list.k; ++j) {
        const auto value = own + V::load(b + index[j] * channels + channel);
        // The gradient goes to the first of equal values and is then spent.
        auto pair = (value == chosen ? rest : typename V::type{}) - offset - value * along;
        rest = value == chosen ? typename V::type{} : rest;
        pair = value > T(0) ? pair : typename V::type{};
        sum += pair;
        T* to = grad_b + index[j] * channels + channel;
        V::store(to, V::load(to) + pair);
      }
      V::store(grad_a + point * channels + channel, sum);
    }
  }
};

template <class T>
at::Tensor edge_selected(const at::Tensor& a, const at::Tensor& b, const Norm& norm, const Neighbourhood& list,
                         std::vector<double>& shift, Sums& sums) {
  const int64_t channels = a.size(1);
  const auto weights = per_channel(norm.weight);
  std::vector<T> sign(channels), offsets(channels);
  for (int64_t channel = 0; channel < channels; ++channel) {
    sign[channel] = static_cast<T>((weights[channel] > 0) - (weights[channel] < 0));
    const T pair = a.const_data_ptr<T>()[channel] + b.const_data_ptr<T>()[list.index[list.first] * channels + channel];
    offsets[channel] = std::max(pair, T(0));
    shift[channel] = static_cast<double>(offsets[channel]);
  }
  auto out = at::empty_like(a);
  const int64_t work = list.points * list.k * channels;
  const T* left = a.const_data_ptr<T>();
  const T* right = b.const_data_ptr<T>();
  T* to = out.mutable_data_ptr<T>();
  if (norm.training) {
    parallel(EdgeForward<T, true>{list, channels, left, right, sign.data(), offsets.data(), to, &sums}, list.clouds, work);
  } else {
    parallel(EdgeForward<T, false>{list, channels, left, right, sign.data(), offsets.data(), to, &sums}, list.clouds, work);
  }
  return out;
}

struct EdgeMaxNorm : torch::autograd::Function<EdgeMaxNorm> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& a, const at::Tensor& b, const at::Tensor& weight,
                            const at::Tensor&, const at::Tensor& neighbours, int64_t clouds, bool skip_self,
                            const Norm& norm) {
    const auto list = neighbourhood(neighbours, clouds, skip_self);
    Sums sums(clouds, a.size(1));
    std::vector<double> shift(a.size(1));
    at::Tensor selected;
    by_type(a, [&](auto zero) { selected = edge_selected<decltype(zero)>(a, b, norm, list, shift, sums); });
    const auto found = statistics(norm, shift, norm.training ? &sums : nullptr, list.pairs());
    ctx->save_for_backward({a, b, weight, neighbours, selected, per_channel(found.mean), per_channel(found.scale)});
    ctx->saved_data["clouds"] = clouds;
    ctx->saved_data["skip_self"] = skip_self;
    ctx->saved_data["training"] = norm.training;
    return normalised(selected, norm, found);
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    check_first_order();
    const auto saved = ctx->get_saved_variables();
    const auto& a = saved[0];
    const auto list =
        neighbourhood(saved[3], ctx->saved_data["clouds"].toInt(), ctx->saved_data["skip_self"].toBool());
    const auto grad = grads[0].contiguous();
    const auto found = gradients(grad, saved[4], saved[2], saved[5], saved[6],
                                 ctx->saved_data["training"].toBool(), list.pairs());
    at::Tensor grad_a, grad_b;
    if (ctx->needs_input_grad(0) || ctx->needs_input_grad(1)) {
      grad_a = at::empty_like(a);
      grad_b = at::empty_like(a);
      by_type(a, [&](auto zero) {
        using T = decltype(zero);
        const auto factor = narrow<T>(found.factor);
        const auto constant = narrow<T>(found.constant);
        const auto slope = narrow<T>(found.slope);
        const EdgeBackward<T> kernel{list, a.size(1), grad.const_data_ptr<T>(), a.const_data_ptr<T>(),
                                     saved[1].const_data_ptr<T>(), saved[4].const_data_ptr<T>(), factor.data(),
                                     constant.data(), slope.data(), grad_a.mutable_data_ptr<T>(),
                                     grad_b.mutable_data_ptr<T>()};
        parallel(kernel, list.clouds, list.points * list.k * kernel.channels);
      });
    }
    return {grad_a, grad_b, found.weight, found.bias, {}, {}, {}, {}};
  }
};

}  // namespace
}  // namespace sgas

extern "C" {

char* sgas_edge_max_norm(at::Tensor** out, const at::Tensor* a, const at::Tensor* b, const at::Tensor* neighbours,
                         int64_t clouds, int skip_self, const at::Tensor* const* norm, int training, double momentum,
                         double epsilon) {
  return sgas::guarded([&] {
    sgas::check_cpu({a, b, neighbours});
    sgas::check_rows(*a);
    TORCH_CHECK(a->sizes() == b->sizes() && a->scalar_type() == b->scalar_type(), "expected a and b alike, found ",
                a->scalar_type(), " ", a->sizes(), " and ", b->scalar_type(), " ", b->sizes());
    sgas::checked_neighbourhood(*a, *neighbours, clouds, skip_self != 0);
    const auto checked = sgas::checked_norm(norm, a->size(1), training, momentum, epsilon);
    const auto result = sgas::EdgeMaxNorm::apply(sgas::widen(*a), sgas::widen(*b), *norm[0], *norm[1], *neighbours,
                                                 clouds, skip_self != 0, checked);
    sgas::give(out, sgas::as_type(result, a->scalar_type()));
  });
}

}  // extern "C"
