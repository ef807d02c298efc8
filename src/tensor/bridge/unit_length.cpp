// Rows of a ReLU brought to length 1, the tail of sage. Only the result and the lengths are kept for the backward pass.
#include "kernels.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <cmath>

namespace sgas {
namespace {

// y = ReLU(x) / max(|ReLU(x)|, smallest) of a row; its length.
template <class T>
struct UnitForward {
  int64_t channels;
  T smallest;
  const T* x;
  T* out;
  T* lengths;

  template <int Bytes>
  SGAS_INLINE void run(int64_t begin, int64_t end) const {
    using V = Vector<T, Bytes>;
    using One = Vector<T, sizeof(T)>;
    for (int64_t row = begin; row < end; ++row) {
      const T* from = x + row * channels;
      T* to = out + row * channels;
      typename V::type squares{};
      int64_t channel = 0;
      for (; channel + V::lanes <= channels; channel += V::lanes) {
        const auto value = V::relu(V::load(from + channel));
        squares += value * value;
      }
      T total = V::sum(squares);
      for (; channel < channels; ++channel) {
        const auto value = One::relu(One::load(from + channel));
        total += (value * value)[0];
      }
      lengths[row] = std::sqrt(total);
      const T scale = T(1) / divisor(lengths[row]);
      for (channel = 0; channel + V::lanes <= channels; channel += V::lanes) {
        V::store(to + channel, V::relu(V::load(from + channel)) * scale);
      }
      for (; channel < channels; ++channel) {
        One::store(to + channel, One::relu(One::load(from + channel)) * scale);
      }
    }
  }

  // Not a number stays one, because a comparison with it is false.
  SGAS_INLINE T divisor(T length) const { return length < smallest ? smallest : length; }
};

// dx = (dy − y · <y, dy>) / length where y > 0, else 0; a length that was too small is a constant.
template <class T>
struct UnitBackward {
  int64_t channels;
  T smallest;
  const T* grad;
  const T* y;
  const T* lengths;
  T* grad_x;

  template <int Bytes>
  SGAS_INLINE void run(int64_t begin, int64_t end) const {
    using V = Vector<T, Bytes>;
    for (int64_t row = begin; row < end; ++row) {
      const T* dy = grad + row * channels;
      const T* unit = y + row * channels;
      T* to = grad_x + row * channels;
      const bool constant = lengths[row] < smallest;
      const T along = constant ? T(0) : dot<Bytes>(unit, dy, channels);
      const T scale = T(1) / (constant ? smallest : lengths[row]);
      int64_t channel = 0;
      for (; channel + V::lanes <= channels; channel += V::lanes) {
        gradient<Bytes>(dy + channel, unit + channel, along, scale, to + channel);
      }
      for (; channel < channels; ++channel) {
        gradient<sizeof(T)>(dy + channel, unit + channel, along, scale, to + channel);
      }
    }
  }

  template <int Bytes>
  SGAS_INLINE void gradient(const T* dy, const T* unit, T along, T scale, T* to) const {
    using V = Vector<T, Bytes>;
    const auto value = V::load(unit);
    const auto both = (V::load(dy) - value * along) * scale;
    V::store(to, value > T(0) ? both : typename V::type{});
  }
};

struct UnitLength : torch::autograd::Function<UnitLength> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, double smallest) {
    auto out = at::empty_like(x);
    auto lengths = at::empty({x.size(0)}, x.options());
    by_type(x, [&](auto zero) {
      using T = decltype(zero);
      const UnitForward<T> kernel{x.size(1), static_cast<T>(smallest), x.const_data_ptr<T>(),
                                  out.mutable_data_ptr<T>(), lengths.mutable_data_ptr<T>()};
      parallel(kernel, x.size(0), 2 * kernel.channels);
    });
    ctx->save_for_backward({out, lengths});
    ctx->saved_data["smallest"] = smallest;
    return out;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    check_first_order();
    const auto saved = ctx->get_saved_variables();
    const auto grad = grads[0].contiguous();
    auto grad_x = at::empty_like(grad);
    by_type(grad, [&](auto zero) {
      using T = decltype(zero);
      const UnitBackward<T> kernel{grad.size(1), static_cast<T>(ctx->saved_data["smallest"].toDouble()),
                                   grad.const_data_ptr<T>(), saved[0].const_data_ptr<T>(),
                                   saved[1].const_data_ptr<T>(), grad_x.mutable_data_ptr<T>()};
      parallel(kernel, grad.size(0), 2 * kernel.channels);
    });
    return {grad_x, {}};
  }
};

}  // namespace
}  // namespace sgas

extern "C" {

char* sgas_unit_length(at::Tensor** out, const at::Tensor* x, double smallest) {
  return sgas::guarded([&] {
    sgas::check_cpu({x});
    sgas::check_rows(*x);
    const auto result = sgas::UnitLength::apply(sgas::widen(*x), smallest);
    sgas::give(out, sgas::as_type(result, x->scalar_type()));
  });
}

}  // extern "C"
