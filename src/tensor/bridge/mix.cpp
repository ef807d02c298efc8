// The weighted sum of a mixed edge's primitives in one pass, without a chain of temporaries.
#include "kernels.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <vector>

namespace sgas {
namespace {

// Elements of a chunk: its gradient stays in the first cache while all primitives are gone through.
constexpr int64_t chunk = 4096;

template <class T>
struct MixForward {
  int64_t elements;
  std::vector<T> weights;
  std::vector<const T*> parts;
  T* out;

  template <int Bytes>
  SGAS_INLINE void run(int64_t begin, int64_t end) const {
    const int64_t stop = std::min(elements, end * chunk);
    constexpr int64_t lanes = Vector<T, Bytes>::lanes;
    int64_t at = begin * chunk;
    for (; at + lanes <= stop; at += lanes) {
      sum<Bytes>(at);
    }
    for (; at < stop; ++at) {
      sum<sizeof(T)>(at);
    }
  }

  template <int Bytes>
  SGAS_INLINE void sum(int64_t at) const {
    using V = Vector<T, Bytes>;
    typename V::type total{};
    for (size_t part = 0; part < parts.size(); ++part) {
      total += weights[part] * V::load(parts[part] + at);
    }
    V::store(out + at, total);
  }
};

template <class T>
struct MixBackward {
  int64_t elements;
  const T* grad;
  std::vector<T> weights;
  std::vector<const T*> parts;      // null where the weights need no gradient
  std::vector<T*> grad_parts;       // null where the part needs none
  mutable std::vector<double> products;  // per chunk and part

  template <int Bytes>
  SGAS_INLINE void run(int64_t begin, int64_t end) const {
    for (int64_t index = begin; index < end; ++index) {
      const int64_t start = index * chunk;
      const int64_t stop = std::min(elements, start + chunk);
      for (size_t part = 0; part < weights.size(); ++part) {
        if (parts[part] != nullptr) {
          products[index * weights.size() + part] = product<Bytes>(parts[part], start, stop);
        }
        if (grad_parts[part] != nullptr) {
          scaled<Bytes>(weights[part], start, stop, grad_parts[part]);
        }
      }
    }
  }

  template <int Bytes>
  SGAS_INLINE double product(const T* part, int64_t start, int64_t stop) const {
    using V = Vector<T, Bytes>;
    typename V::type total{};
    int64_t at = start;
    for (; at + V::lanes <= stop; at += V::lanes) {
      total += V::load(grad + at) * V::load(part + at);
    }
    double sum = 0;
    for (int lane = 0; lane < V::lanes; ++lane) {
      sum += static_cast<double>(total[lane]);
    }
    for (; at < stop; ++at) {
      sum += static_cast<double>(grad[at]) * static_cast<double>(part[at]);
    }
    return sum;
  }

  template <int Bytes>
  SGAS_INLINE void scaled(T weight, int64_t start, int64_t stop, T* to) const {
    using V = Vector<T, Bytes>;
    int64_t at = start;
    for (; at + V::lanes <= stop; at += V::lanes) {
      V::store(to + at, weight * V::load(grad + at));
    }
    for (; at < stop; ++at) {
      to[at] = weight * grad[at];
    }
  }
};

int64_t chunks(int64_t elements) {
  return (elements + chunk - 1) / chunk;
}

template <class T>
std::vector<T> numbers(const at::Tensor& weights) {
  const T* values = weights.const_data_ptr<T>();
  return {values, values + weights.numel()};
}

template <class T>
void backward_pass(const at::Tensor& grad, const variable_list& saved, variable_list& grads, double* weight_sums) {
  const auto weights = numbers<T>(saved[0]);
  MixBackward<T> kernel{grad.numel(), grad.const_data_ptr<T>(), weights, std::vector<const T*>(weights.size()),
                        std::vector<T*>(weights.size()),
                        std::vector<double>(chunks(grad.numel()) * weights.size())};
  for (size_t part = 0; part < weights.size(); ++part) {
    kernel.parts[part] = weight_sums != nullptr ? saved[part + 1].const_data_ptr<T>() : nullptr;
    kernel.grad_parts[part] = grads[part + 1].defined() ? grads[part + 1].mutable_data_ptr<T>() : nullptr;
  }
  const auto work = static_cast<int64_t>(weights.size()) * chunk;
  parallel(kernel, chunks(grad.numel()), work);
  if (weight_sums != nullptr) {
    for (size_t index = 0; index < kernel.products.size(); ++index) {
      weight_sums[index % weights.size()] += kernel.products[index];
    }
  }
}

struct Mix : torch::autograd::Function<Mix> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& weights, at::TensorList parts) {
    variable_list saved{weights};
    if (weights.requires_grad()) {
      saved.insert(saved.end(), parts.begin(), parts.end());
    }
    ctx->save_for_backward(saved);
    auto out = at::empty_like(parts[0]);
    by_type(out, [&](auto zero) {
      using T = decltype(zero);
      MixForward<T> kernel{out.numel(), numbers<T>(weights), {}, out.mutable_data_ptr<T>()};
      for (const auto& part : parts) {
        kernel.parts.push_back(part.const_data_ptr<T>());
      }
      parallel(kernel, chunks(out.numel()), static_cast<int64_t>(parts.size()) * chunk);
    });
    return out;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& output_grads) {
    check_first_order();
    const auto saved = ctx->get_saved_variables();
    const auto grad = output_grads[0].contiguous();
    const int64_t count = saved[0].numel();
    variable_list grads(count + 1);
    for (int64_t part = 1; part <= count; ++part) {
      if (ctx->needs_input_grad(part)) {
        grads[part] = at::empty_like(grad);
      }
    }
    const bool weigh = ctx->needs_input_grad(0);
    auto sums = at::zeros({count}, at::kDouble);
    by_type(grad, [&](auto zero) {
      backward_pass<decltype(zero)>(grad, saved, grads, weigh ? sums.mutable_data_ptr<double>() : nullptr);
    });
    if (weigh) {
      grads[0] = sums.to(saved[0].scalar_type());
    }
    return grads;
  }
};

}  // namespace
}  // namespace sgas

extern "C" {

// `parts` points to `count` tensors.
char* sgas_mix(at::Tensor** out, const at::Tensor* weights, const at::Tensor* const* parts, int64_t count) {
  return sgas::guarded([&] {
    TORCH_CHECK(count > 0, "expected at least one tensor to mix");
    sgas::check_cpu({weights});
    sgas::check_channels(*weights, count, "weights");
    const auto type = parts[0]->scalar_type();
    std::vector<at::Tensor> wide;
    for (int64_t part = 0; part < count; ++part) {
      sgas::check_cpu({parts[part]});
      TORCH_CHECK(at::isFloatingType(type) && parts[part]->scalar_type() == type &&
                      parts[part]->sizes() == parts[0]->sizes(),
                  "expected all tensors as ", type, " ", parts[0]->sizes(), ", found ", parts[part]->scalar_type(),
                  " ", parts[part]->sizes());
      wide.push_back(sgas::widen(*parts[part]));
    }
    const auto wide_weights = weights->to(wide[0].scalar_type()).contiguous();
    const auto result = sgas::Mix::apply(wide_weights, at::TensorList(wide));
    sgas::give(out, sgas::as_type(result, type));
  });
}

}  // extern "C"
