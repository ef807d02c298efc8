// The weighted sum of an edge's primitives, some of which end in a batch norm: the norms' outputs are never stored.
// One part of weight 1 is a batch norm alone.
//
// Features are rows (R, C), or images (B, C, H, W) that lie channels-last, which are rows too. With the norm of part k
// written y = x·factor + summand per channel, the sum is one affine map of all parts. Backward goes over gradient and
// parts twice: for the sums that weights and norms need, then for the gradients of the parts.
#include "moments.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include <optional>

namespace sgas {
namespace {

at::Tensor like(const at::Tensor& x) {
  return at::empty(x.sizes(), x.options(), layout(x));
}

int64_t rows_of(const at::Tensor& x) {
  return x.numel() / x.size(1);
}

// The slope below zero of an activation that is none.
constexpr int identity = 1;

// out = Σ_k x_k · factor_k + summand, per channel.
template <class T>
struct AffineSum {
  using Element = T;
  int64_t channels;
  std::vector<const T*> parts;
  std::vector<const T*> factors;
  const T* summand;
  T* out;

  template <int Bytes>
  SGAS_INLINE void run(int64_t begin, int64_t end) const {
    over_channels<Bytes>(*this, begin, end, cached_rows);
  }

  template <int Bytes>
  SGAS_INLINE void block(int64_t begin, int64_t end, int64_t channel) const {
    using V = Vector<T, Bytes>;
    const auto offset = V::load(summand + channel);
    for (int64_t row = begin; row < end; ++row) {
      auto total = offset;
      for (size_t part = 0; part < parts.size(); ++part) {
        total += V::load(parts[part] + row * channels + channel) * V::load(factors[part] + channel);
      }
      V::store(out + row * channels + channel, total);
    }
  }
};

// What is summed up: tensors in the order of `Function::apply`, which is parts, then weights, then weight and bias of
// the affine norms.
struct Plan {
  int64_t parts;
  bool weighed;
  bool training;
  std::vector<std::optional<Norm>> norms;
  std::vector<int64_t> affine;  // where a part's norm has its weight, -1 without
};

template <class T>
Statistics part_statistics(const at::Tensor& x, const Norm& norm) {
  const int64_t channels = x.size(1);
  const int64_t rows = rows_of(x);
  std::vector<double> shift(channels);
  if (!norm.training) {
    return statistics(norm, shift, nullptr, rows);
  }
  const T* values = x.const_data_ptr<T>();
  std::copy(values, values + channels, shift.begin());
  Sums sums(chunks(rows), channels);
  const Moments<T> kernel{channels, rows, T(identity), values, values, &sums};
  parallel(kernel, chunks(rows), chunk_rows * channels);
  return statistics(norm, shift, &sums, rows);
}

// The parts' factors, each times its weight, and the sum of the summands.
struct Affine {
  std::vector<std::vector<double>> factors;
  std::vector<double> summand;
};

Affine affine(const Plan& plan, const std::vector<double>& weights, const std::vector<Statistics>& found,
              int64_t channels) {
  Affine sum{{}, std::vector<double>(channels)};
  for (int64_t part = 0; part < plan.parts; ++part) {
    auto factor = std::vector<double>(channels, 1);
    if (plan.norms[part]) {
      factor = per_channel(plan.norms[part]->weight);
      const auto bias = per_channel(plan.norms[part]->bias);
      for (int64_t channel = 0; channel < channels; ++channel) {
        factor[channel] *= found[part].scale[channel];
        sum.summand[channel] += weights[part] * (bias[channel] - found[part].mean[channel] * factor[channel]);
      }
    }
    for (double& value : factor) {
      value *= weights[part];
    }
    sum.factors.push_back(std::move(factor));
  }
  return sum;
}

// Means and scales of all parts as one tensor (parts, 2, C); zero and one where a part has no norm.
at::Tensor joined(const std::vector<Statistics>& found, int64_t channels) {
  auto all = at::zeros({static_cast<int64_t>(found.size()), 2, channels}, at::kDouble);
  double* to = all.mutable_data_ptr<double>();
  for (const auto& part : found) {
    std::copy(part.mean.begin(), part.mean.end(), to);
    std::copy(part.scale.begin(), part.scale.end(), to + channels);
    to += 2 * channels;
  }
  return all;
}

struct NormMix : torch::autograd::Function<NormMix> {
  static at::Tensor forward(AutogradContext* ctx, at::TensorList tensors, const Plan& plan) {
    const auto& first = tensors[0];
    const int64_t channels = first.size(1);
    const auto weights = plan.weighed ? per_channel(tensors[plan.parts]) : std::vector<double>(plan.parts, 1);
    auto out = like(first);
    std::vector<Statistics> found;
    by_type(first, [&](auto zero) {
      using T = decltype(zero);
      AffineSum<T> kernel{channels, {}, {}, nullptr, out.mutable_data_ptr<T>()};
      for (int64_t part = 0; part < plan.parts; ++part) {
        found.push_back(plan.norms[part] ? part_statistics<T>(tensors[part], *plan.norms[part])
                                         : Statistics{std::vector<double>(channels), std::vector<double>(channels, 1)});
        kernel.parts.push_back(tensors[part].const_data_ptr<T>());
      }
      const auto sum = affine(plan, weights, found, channels);
      std::vector<std::vector<T>> factors;
      for (const auto& factor : sum.factors) {
        factors.push_back(narrow<T>(factor));
      }
      for (const auto& factor : factors) {
        kernel.factors.push_back(factor.data());
      }
      const auto summand = narrow<T>(sum.summand);
      kernel.summand = summand.data();
      parallel(kernel, rows_of(first), plan.parts * channels);
    });
    save(ctx, tensors, plan, joined(found, channels));
    return out;
  }

  // A part without norm is needed for the gradient of its weight alone.
  static void save(AutogradContext* ctx, at::TensorList tensors, const Plan& plan, const at::Tensor& found) {
    variable_list saved(tensors.begin(), tensors.end());
    c10::List<int64_t> normed;
    for (int64_t part = 0; part < plan.parts; ++part) {
      normed.push_back(plan.norms[part] ? 1 : 0);
      if (!plan.norms[part] && !(plan.weighed && tensors[plan.parts].requires_grad())) {
        saved[part] = at::Tensor();
      }
    }
    saved.push_back(found);
    ctx->save_for_backward(saved);
    ctx->saved_data["parts"] = plan.parts;
    ctx->saved_data["weighed"] = plan.weighed;
    ctx->saved_data["training"] = plan.training;
    ctx->saved_data["normed"] = normed;
    ctx->saved_data["affine"] = c10::List<int64_t>(at::IntArrayRef(plan.affine));
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& output_grads) {
    check_first_order();
    const auto saved = ctx->get_saved_variables();
    const auto grad = laid(output_grads[0]);
    const int64_t parts = ctx->saved_data["parts"].toInt();
    const bool weighed = ctx->saved_data["weighed"].toBool();
    const bool training = ctx->saved_data["training"].toBool();
    const auto normed = ctx->saved_data["normed"].toIntVector();
    const auto affine = ctx->saved_data["affine"].toIntVector();
    const auto weights = weighed ? per_channel(saved[parts]) : std::vector<double>(parts, 1);
    const bool weigh = weighed && ctx->needs_input_grad(parts);
    const int64_t channels = grad.size(1);
    const double* found = saved.back().const_data_ptr<double>();
    variable_list grads(saved.size() - 1);
    std::vector<double> weight_gradients(parts);
    for (int64_t part = 0; part < parts; ++part) {
      const bool asks = ctx->needs_input_grad(part);
      if (normed[part] == 0) {
        if (asks) {
          grads[part] = at::mul(grad, weights[part]);
        }
        if (weigh) {
          weight_gradients[part] = (grad * saved[part]).sum(at::kDouble).item<double>();
        }
        continue;
      }
      const bool learns = affine[part] >= 0 && ctx->needs_input_grad(affine[part]);
      Share share{grad, saved[part], {found + 2 * part * channels, channels}, weights[part], training};
      if (affine[part] >= 0) {
        share.weight = per_channel(saved[affine[part]]);
        share.bias = per_channel(saved[affine[part] + 1]);
      }
      if (training || learns || weigh) {
        share.sum();
      }
      if (asks) {
        grads[part] = share.of_part();
      }
      if (learns) {
        grads[affine[part]] = share.of_norm(1, saved[affine[part]].scalar_type());
        grads[affine[part] + 1] = share.of_norm(0, saved[affine[part]].scalar_type());
      }
      weight_gradients[part] = weigh ? share.of_weight() : 0;
    }
    if (weigh) {
      grads[parts] = per_channel(weight_gradients, saved[parts].scalar_type());
    }
    grads.emplace_back();  // of the plan
    return grads;
  }

  // Mean and scale per channel.
  struct Found {
    const double* values;
    int64_t channels;

    double mean(int64_t channel) const { return values[channel]; }
    double scale(int64_t channel) const { return values[channels + channel]; }
  };

  // Everything that the gradients through one part's norm need.
  struct Share {
    const at::Tensor& grad;
    const at::Tensor& x;
    Found found;
    double mixed;  // the part's weight in the sum
    bool training;
    std::vector<double> weight = std::vector<double>(found.channels, 1);
    std::vector<double> bias = std::vector<double>(found.channels, 0);
    std::vector<double> grad_sum{};
    std::vector<double> product_sum{};  // of dy · (x − mean) · scale

    void sum() {
      const int64_t rows = rows_of(x);
      Sums sums(chunks(rows), found.channels);
      by_type(x, [&](auto zero) {
        using T = decltype(zero);
        const std::vector<T> mean(found.values, found.values + found.channels);
        const GradientMoments<T> kernel{found.channels, rows, T(identity), grad.const_data_ptr<T>(),
                                        x.const_data_ptr<T>(), mean.data(), &sums};
        parallel(kernel, chunks(rows), chunk_rows * found.channels);
      });
      grad_sum = sums.total(0);
      product_sum = sums.total(1);
      for (int64_t channel = 0; channel < found.channels; ++channel) {
        product_sum[channel] *= found.scale(channel);
      }
    }

    at::Tensor of_part() const {
      const auto count = static_cast<double>(rows_of(x));
      std::vector<double> factor(found.channels), constant(found.channels), slope(found.channels);
      for (int64_t channel = 0; channel < found.channels; ++channel) {
        factor[channel] = mixed * weight[channel] * found.scale(channel);
        if (training) {
          slope[channel] = factor[channel] / count * product_sum[channel] * found.scale(channel);
          constant[channel] = factor[channel] / count * grad_sum[channel] - slope[channel] * found.mean(channel);
        }
      }
      auto result = like(x);
      by_type(x, [&](auto zero) {
        using T = decltype(zero);
        const auto factors = narrow<T>(factor);
        const auto constants = narrow<T>(constant);
        const auto slopes = narrow<T>(slope);
        const InputGradient<T> kernel{found.channels, T(identity), grad.const_data_ptr<T>(), x.const_data_ptr<T>(),
                                      factors.data(), constants.data(), slopes.data(), result.mutable_data_ptr<T>()};
        parallel(kernel, rows_of(x), found.channels);
      });
      return result;
    }

    // Of the norm's weight (1) or bias (0).
    at::Tensor of_norm(int which, at::ScalarType type) const {
      auto values = which == 1 ? product_sum : grad_sum;
      for (double& value : values) {
        value *= mixed;
      }
      return per_channel(values, type);
    }

    double of_weight() const {
      double total = 0;
      for (int64_t channel = 0; channel < found.channels; ++channel) {
        total += weight[channel] * product_sum[channel] + bias[channel] * grad_sum[channel];
      }
      return total;
    }
  };
};

void check_part(const at::Tensor& x, const at::Tensor& first) {
  check_cpu({&x});
  TORCH_CHECK(x.dim() == 2 || x.dim() == 4, "expected rows (R, C) or images (B, C, H, W), found ", x.sizes());
  TORCH_CHECK(at::isFloatingType(x.scalar_type()), "expected fp32, fp64, bf16 or fp16, found ", x.scalar_type());
  TORCH_CHECK(x.numel() > 0, "expected at least one row");
  TORCH_CHECK(x.sizes() == first.sizes() && x.scalar_type() == first.scalar_type(), "expected all parts as ",
              first.scalar_type(), " ", first.sizes(), ", found ", x.scalar_type(), " ", x.sizes());
}

}  // namespace
}  // namespace sgas

extern "C" {

// `weights` may be null: all 1. `norms` holds for every part weight, bias, running mean and running variance: all null
// where a part has no norm, the first two null where its norm is not affine.
char* sgas_norm_mix(at::Tensor** out, const at::Tensor* weights, const at::Tensor* const* parts,
                    const at::Tensor* const* norms, int64_t count, int training, double momentum, double epsilon) {
  return sgas::guarded([&] {
    TORCH_CHECK(count > 0, "expected at least one tensor to mix");
    const int64_t channels = parts[0]->dim() > 1 ? parts[0]->size(1) : 0;
    std::vector<at::Tensor> tensors;
    for (int64_t part = 0; part < count; ++part) {
      sgas::check_part(*parts[part], *parts[0]);
      tensors.push_back(sgas::laid(*parts[part]));
    }
    sgas::Plan plan{count, weights != nullptr, training != 0, {}, std::vector<int64_t>(count, -1)};
    if (weights != nullptr) {
      sgas::check_cpu({weights});
      sgas::check_channels(*weights, count, "weights");
      tensors.push_back(*weights);
    }
    for (int64_t part = 0; part < count; ++part) {
      const at::Tensor* const* norm = norms + 4 * part;
      if (norm[2] == nullptr) {
        plan.norms.emplace_back();
        continue;
      }
      const auto ones = at::ones({channels});
      const auto zeros = at::zeros({channels});
      const bool affine = norm[0] != nullptr;
      const at::Tensor* const four[] = {affine ? norm[0] : &ones, affine ? norm[1] : &zeros, norm[2], norm[3]};
      plan.norms.emplace_back(sgas::checked_norm(four, channels, training, momentum, epsilon));
      if (affine) {
        plan.affine[part] = static_cast<int64_t>(tensors.size());
        tensors.push_back(*norm[0]);
        tensors.push_back(*norm[1]);
      }
    }
    const auto result = sgas::NormMix::apply(at::TensorList(tensors), plan);
    sgas::give(out, sgas::as_type(result, parts[0]->scalar_type()));
  });
}

}  // extern "C"
