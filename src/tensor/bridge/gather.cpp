// Gathers over the neighbours of a point: maximum and sums. Nothing of size (R, k, C) is ever stored. Backward
// passes scatter cloud by cloud, each cloud in one thread.
#include "kernels.h"

#include <ATen/ops/empty.h>

#include <limits>

namespace sgas {

Neighbourhood checked_neighbourhood(
    const at::Tensor& x, const at::Tensor& neighbours, int64_t clouds, bool skip_self) {
  TORCH_CHECK(neighbours.dim() == 2 && neighbours.scalar_type() == at::kLong && neighbours.is_contiguous(),
              "expected neighbours as contiguous int64 (R, k), found ", neighbours.scalar_type(), " ",
              neighbours.sizes());
  TORCH_CHECK(neighbours.size(0) == x.size(0), "expected one row of neighbours per point, found ",
              neighbours.size(0), " for ", x.size(0), " points");
  TORCH_CHECK(clouds > 0 && x.size(0) > 0 && x.size(0) % clouds == 0, "expected ", clouds,
              " clouds of equal size, found ", x.size(0), " points");
  const auto list = neighbourhood(neighbours, clouds, skip_self);
  TORCH_CHECK(list.k > list.first && list.k <= 255, "expected ", list.first + 1, " to 255 neighbours, found ",
              list.k);
  const int64_t per_cloud = list.points * list.k;
  for (int64_t cloud = 0; cloud < clouds; ++cloud) {
    const auto points = static_cast<uint64_t>(list.points);
    const int64_t start = cloud * list.points;
    uint64_t outside = 0;
    for (int64_t pair = cloud * per_cloud; pair < (cloud + 1) * per_cloud; ++pair) {
      outside |= static_cast<uint64_t>(static_cast<uint64_t>(list.index[pair] - start) >= points);
    }
    TORCH_CHECK(outside == 0, "a neighbour of cloud ", cloud, " lies outside its rows ", start, " to ",
                start + list.points - 1);
  }
  return list;
}

namespace {

// Maximum over the neighbours and the column where it was found, the first of equal ones; not a number wins.
template <class T>
struct MaxForward {
  using Element = T;
  Neighbourhood list;
  int64_t channels;
  const T* x;
  T* out;
  uint8_t* column;  // null where no gradient is asked for

  template <int Bytes>
  SGAS_INLINE void run(int64_t begin, int64_t end) const {
    over_channels<Bytes>(*this, begin, end, cached_rows);
  }

  template <int Bytes>
  SGAS_INLINE void block(int64_t begin, int64_t end, int64_t channel) const {
    using V = Vector<T, Bytes>;
    using Column = Vector<uint8_t, V::lanes>;
    constexpr T infinity = std::numeric_limits<T>::infinity();
    for (int64_t point = begin; point < end; ++point) {
      const int64_t* index = list.index + point * list.k;
      auto best = V::load(x + index[list.first] * channels + channel);
      auto found = V::all(list.first);
      // Counted in a vector: GCC makes of a number that changes sixteen masked broadcasts.
      auto column_here = found;
      typename V::type no_number{};
      for (int64_t j = list.first + 1; j < list.k; ++j) {
        const auto value = V::load(x + index[j] * channels + channel);
        column_here += 1;
        found = value > best ? column_here : found;
        best = value > best ? value : best;
        no_number = value <= infinity ? no_number : value;
      }
      V::store(out + point * channels + channel, best + no_number);
      if (column != nullptr) {
        Column::store(column + point * channels + channel,
                      __builtin_convertvector(found, typename Column::type));
      }
    }
  }
};

template <class T>
struct MaxBackward {
  Neighbourhood list;
  int64_t channels;
  const T* grad;
  const uint8_t* column;
  T* grad_x;

  template <int Bytes>
  SGAS_INLINE void run(int64_t begin, int64_t end) const {
    for (int64_t cloud = begin; cloud < end; ++cloud) {
      clear_cloud(grad_x, cloud, list.points, channels);
      for (int64_t point = cloud * list.points; point < (cloud + 1) * list.points; ++point) {
        const int64_t* index = list.index + point * list.k;
        const T* from = grad + point * channels;
        const uint8_t* at = column + point * channels;
        for (int64_t channel = 0; channel < channels; ++channel) {
          grad_x[index[at[channel]] * channels + channel] += from[channel];
        }
      }
    }
  }
};

// Sum over the neighbours times a factor, each times its weight where there are weights (R, k).
template <class T, bool Weighted>
struct SumForward {
  using Element = T;
  Neighbourhood list;
  int64_t channels;
  const T* x;
  const T* weights;
  T factor;
  T* out;

  template <int Bytes>
  SGAS_INLINE void run(int64_t begin, int64_t end) const {
    over_channels<Bytes>(*this, begin, end, cached_rows);
  }

  template <int Bytes>
  SGAS_INLINE void block(int64_t begin, int64_t end, int64_t channel) const {
    using V = Vector<T, Bytes>;
    for (int64_t point = begin; point < end; ++point) {
      const int64_t* index = list.index + point * list.k;
      typename V::type sum{};
      for (int64_t j = list.first; j < list.k; ++j) {
        const auto value = V::load(x + index[j] * channels + channel);
        if constexpr (Weighted) {
          sum += weights[point * list.k + j] * value;
        } else {
          sum += value;
        }
      }
      V::store(out + point * channels + channel, sum * factor);
    }
  }
};

template <class T, bool Weighted>
struct SumBackward {
  using Element = T;
  Neighbourhood list;
  int64_t channels;
  const T* grad;
  const T* weights;
  T factor;
  T* grad_x;

  template <int Bytes>
  SGAS_INLINE void run(int64_t begin, int64_t end) const {
    for (int64_t cloud = begin; cloud < end; ++cloud) {
      clear_cloud(grad_x, cloud, list.points, channels);
      over_channels<Bytes>(*this, cloud * list.points, (cloud + 1) * list.points, cached_rows);
    }
  }

  template <int Bytes>
  SGAS_INLINE void block(int64_t begin, int64_t end, int64_t channel) const {
    using V = Vector<T, Bytes>;
    for (int64_t point = begin; point < end; ++point) {
      const int64_t* index = list.index + point * list.k;
      const auto value = V::load(grad + point * channels + channel) * factor;
      for (int64_t j = list.first; j < list.k; ++j) {
        T* to = grad_x + index[j] * channels + channel;
        if constexpr (Weighted) {
          V::store(to, V::load(to) + weights[point * list.k + j] * value);
        } else {
          V::store(to, V::load(to) + value);
        }
      }
    }
  }
};

at::Tensor max_forward(const at::Tensor& x, const Neighbourhood& list, at::Tensor* column) {
  auto out = at::empty_like(x);
  uint8_t* columns = nullptr;
  if (column != nullptr) {
    *column = at::empty(x.sizes(), x.options().dtype(at::kByte));
    columns = column->mutable_data_ptr<uint8_t>();
  }
  by_type(x, [&](auto zero) {
    using T = decltype(zero);
    const MaxForward<T> kernel{list, x.size(1), x.const_data_ptr<T>(), out.mutable_data_ptr<T>(), columns};
    parallel(kernel, list.rows(), list.k * kernel.channels);
  });
  return out;
}

}  // namespace

at::Tensor sum_forward(const at::Tensor& x, const at::Tensor& weights, const Neighbourhood& list, double factor) {
  auto out = at::empty_like(x);
  by_type(x, [&](auto zero) {
    using T = decltype(zero);
    const T* features = x.const_data_ptr<T>();
    const int64_t work = list.k * x.size(1);
    const T scale = static_cast<T>(factor);
    T* to = out.mutable_data_ptr<T>();
    if (weights.defined()) {
      const T* numbers = weights.const_data_ptr<T>();
      parallel(SumForward<T, true>{list, x.size(1), features, numbers, scale, to}, list.rows(), work);
    } else {
      parallel(SumForward<T, false>{list, x.size(1), features, nullptr, scale, to}, list.rows(), work);
    }
  });
  return out;
}

at::Tensor sum_backward(
    const at::Tensor& grad, const at::Tensor& weights, const Neighbourhood& list, double factor) {
  auto grad_x = at::empty_like(grad);
  by_type(grad, [&](auto zero) {
    using T = decltype(zero);
    const T* from = grad.const_data_ptr<T>();
    const int64_t work = list.points * list.k * grad.size(1);
    const T scale = static_cast<T>(factor);
    T* to = grad_x.mutable_data_ptr<T>();
    if (weights.defined()) {
      const T* numbers = weights.const_data_ptr<T>();
      parallel(SumBackward<T, true>{list, grad.size(1), from, numbers, scale, to}, list.clouds, work);
    } else {
      parallel(SumBackward<T, false>{list, grad.size(1), from, nullptr, scale, to}, list.clouds, work);
    }
  });
  return grad_x;
}

namespace {

struct GatherMax : torch::autograd::Function<GatherMax> {
  static at::Tensor forward(
      AutogradContext* ctx, const at::Tensor& x, const at::Tensor& neighbours, int64_t clouds, bool skip_self) {
    at::Tensor column;
    auto out = max_forward(x, neighbourhood(neighbours, clouds, skip_self), &column);
    ctx->save_for_backward({neighbours, column});
    ctx->saved_data["clouds"] = clouds;
    return out;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    check_first_order();
    const auto saved = ctx->get_saved_variables();
    const auto list = neighbourhood(saved[0], ctx->saved_data["clouds"].toInt(), false);
    const auto grad = grads[0].contiguous();
    auto grad_x = at::empty_like(grad);
    by_type(grad, [&](auto zero) {
      using T = decltype(zero);
      const MaxBackward<T> kernel{list, grad.size(1), grad.const_data_ptr<T>(), saved[1].const_data_ptr<uint8_t>(),
                                  grad_x.mutable_data_ptr<T>()};
      parallel(kernel, list.clouds, list.points * kernel.channels);
    });
    return {grad_x, {}, {}, {}};
  }
};

struct GatherSum : torch::autograd::Function<GatherSum> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& neighbours, int64_t clouds,
                            bool skip_self, double factor) {
    ctx->save_for_backward({neighbours});
    ctx->saved_data["clouds"] = clouds;
    ctx->saved_data["skip_self"] = skip_self;
    ctx->saved_data["factor"] = factor;
    return sum_forward(x, {}, neighbourhood(neighbours, clouds, skip_self), factor);
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    check_first_order();
    const auto neighbours = ctx->get_saved_variables()[0];
    const auto list =
        neighbourhood(neighbours, ctx->saved_data["clouds"].toInt(), ctx->saved_data["skip_self"].toBool());
    const double factor = ctx->saved_data["factor"].toDouble();
    return {sum_backward(grads[0].contiguous(), {}, list, factor), {}, {}, {}, {}};
  }
};

}  // namespace
}  // namespace sgas

extern "C" {

char* sgas_gather_max(
    at::Tensor** out, const at::Tensor* x, const at::Tensor* neighbours, int64_t clouds, int skip_self) {
  return sgas::guarded([&] {
    sgas::check_cpu({x, neighbours});
    sgas::check_rows(*x);
    const auto list = sgas::checked_neighbourhood(*x, *neighbours, clouds, skip_self != 0);
    const auto wide = sgas::widen(*x);
    const auto result = sgas::tracked({x}) ? sgas::GatherMax::apply(wide, *neighbours, clouds, skip_self != 0)
                                           : sgas::max_forward(wide, list, nullptr);
    sgas::give(out, sgas::as_type(result, x->scalar_type()));
  });
}

// The sum times `factor`.
char* sgas_gather_sum(at::Tensor** out, const at::Tensor* x, const at::Tensor* neighbours, int64_t clouds,
                      int skip_self, double factor) {
  return sgas::guarded([&] {
    sgas::check_cpu({x, neighbours});
    sgas::check_rows(*x);
    sgas::checked_neighbourhood(*x, *neighbours, clouds, skip_self != 0);
    const auto result = sgas::GatherSum::apply(sgas::widen(*x), *neighbours, clouds, skip_self != 0, factor);
    sgas::give(out, sgas::as_type(result, x->scalar_type()));
  });
}

}  // extern "C"
