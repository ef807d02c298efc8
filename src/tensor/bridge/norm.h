// What the kernels of batch norm share: sums per channel that do not depend on the number of threads, statistics,
// and the numbers per channel that backward passes need.
#pragma once

#include "kernels.h"

#include <vector>

namespace sgas {

// The batch norm's own tensors and settings, as libtorch's `batch_norm` takes them.
struct Norm {
  at::Tensor weight;
  at::Tensor bias;
  at::Tensor running_mean;
  at::Tensor running_var;
  bool training;
  double momentum;
  double epsilon;
};

// Sums of two quantities per part (cloud or chunk) and channel, in double precision.
struct Sums {
  Sums(int64_t parts, int64_t channels) : channels(channels), values(parts * 2 * channels) {}

  double* at(int64_t part, int64_t which) { return values.data() + (part * 2 + which) * channels; }

  // Over all parts in their order, whoever computed them.
  std::vector<double> total(int64_t which) const {
    std::vector<double> sums(channels);
    for (size_t start = which * channels; start < values.size(); start += 2 * channels) {
      for (int64_t channel = 0; channel < channels; ++channel) {
        sums[channel] += values[start + channel];
      }
    }
    return sums;
  }

  int64_t channels;
  std::vector<double> values;
};

// Per channel a number as a tensor, which autograd can save; and back from any type.
at::Tensor per_channel(const std::vector<double>& values, at::ScalarType type = at::kDouble);
std::vector<double> per_channel(const at::Tensor& tensor);

template <class T>
std::vector<T> narrow(const std::vector<double>& values) {
  return {values.begin(), values.end()};
}

struct Statistics {
  std::vector<double> mean;
  std::vector<double> scale;  // 1 / sqrt(variance + epsilon)
};

// From running statistics, or from shifted sums of `count` values, which then move the running ones.
Statistics statistics(const Norm& norm, const std::vector<double>& shift, const Sums* sums, int64_t count);

// y = (act(x) − mean) · scale · weight + bias; act is ReLU, or leaky with the slope `leak` below zero.
at::Tensor normalised(const at::Tensor& x, const Norm& norm, const Statistics& found, double leak = 0);

// What backward passes of both norms need per channel, and the gradients of weight and bias.
struct Gradients {
  std::vector<double> factor;
  std::vector<double> constant;
  std::vector<double> slope;
  at::Tensor weight;
  at::Tensor bias;
};

// `x` are the values (before act, or after ReLU) that dy belongs to, `count` what the statistics were taken over.
Gradients gradients(const at::Tensor& grad, const at::Tensor& x, const at::Tensor& weight, const at::Tensor& mean,
                    const at::Tensor& scale, bool training, int64_t count, double leak = 0);

// `tensors` points to weight, bias, running mean and running variance, (C) each.
Norm checked_norm(const at::Tensor* const* tensors, int64_t channels, int training, double momentum, double epsilon);

}  // namespace sgas
