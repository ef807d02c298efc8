// Linear maps of rows by small matrices, forward and backward. A library's product of matrices is made for large ones:
// of few channels it spends most of its time on its ends (measured in benches/kernels.rs).
#include "kernels.h"

#include <ATen/autocast_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>

#include <vector>

namespace sgas {
namespace {

// Up to so many channels on both sides the matrix stays in the first cache.
constexpr int64_t most_channels = 64;
// Rows whose products are summed in fp32 before they go to double precision.
constexpr int64_t summed_rows = 256;

// Rows that share what was loaded of the matrix; as many sums as fit the registers.
template <int Bytes>
constexpr int tile_rows = Bytes == 64 ? 8 : 4;

// Runs `kernel.block<Bytes, 1>(begin, end, channel)` for every vector of output channels that is left, then for narrower
// ones.
template <int Bytes, class Kernel>
SGAS_INLINE void over_single_outputs(const Kernel& kernel, int64_t begin, int64_t end, int64_t channel) {
  constexpr int64_t lanes = Vector<float, Bytes>::lanes;
  for (; channel + lanes <= kernel.outputs; channel += lanes) {
    kernel.template block<Bytes, 1>(begin, end, channel);
  }
  if constexpr (lanes > 1) {
    over_single_outputs<narrower<float, Bytes>>(kernel, begin, end, channel);
  }
}

// Runs `kernel.block<Bytes, Vectors>(begin, end, channel)` for pairs of vectors of output channels, then for
// single ones.
template <int Bytes, class Kernel>
SGAS_INLINE void over_outputs(const Kernel& kernel, int64_t begin, int64_t end) {
  constexpr int64_t lanes = Vector<float, Bytes>::lanes;
  int64_t channel = 0;
  for (; channel + 2 * lanes <= kernel.outputs; channel += 2 * lanes) {
    kernel.template block<Bytes, 2>(begin, end, channel);
  }
  over_single_outputs<Bytes>(kernel, begin, end, channel);
}

// y = x · matrix, (R, inputs) and (inputs, outputs).
struct Product {
  int64_t inputs, outputs;
  const float* x;
  const float* matrix;
  float* y;

  template <int Bytes>
  SGAS_INLINE void run(int64_t begin, int64_t end) const {
    for (int64_t row = begin; row < end; row += chunk_rows) {
      over_outputs<Bytes>(*this, row, std::min(end, row + chunk_rows));
    }
  }

  template <int Bytes, int Vectors>
  SGAS_INLINE void block(int64_t begin, int64_t end, int64_t channel) const {
    int64_t row = begin;
    for (; row + tile_rows<Bytes> <= end; row += tile_rows<Bytes>) {
      tile<Bytes, Vectors, tile_rows<Bytes>>(row, channel);
    }
    for (; row < end; ++row) {
      tile<Bytes, Vectors, 1>(row, channel);
    }
  }

  template <int Bytes, int Vectors, int Rows>
  SGAS_INLINE void tile(int64_t row, int64_t channel) const {
    using V = Vector<float, Bytes>;
    typename V::type sums[Rows][Vectors] = {};
    const float* from = x + row * inputs;
    for (int64_t input = 0; input < inputs; ++input) {
      const float* weights = matrix + input * outputs + channel;
      typename V::type loaded[Vectors];
      for (int vector = 0; vector < Vectors; ++vector) {
        loaded[vector] = V::load(weights + vector * V::lanes);
      }
      for (int one = 0; one < Rows; ++one) {
        const float value = from[one * inputs + input];
        for (int vector = 0; vector < Vectors; ++vector) {
          sums[one][vector] += value * loaded[vector];
        }
      }
    }
    float* to = y + row * outputs + channel;
    for (int one = 0; one < Rows; ++one) {
      for (int vector = 0; vector < Vectors; ++vector) {
        V::store(to + one * outputs + vector * V::lanes, sums[one][vector]);
      }
    }
  }
};

// xᵀ · grad, (inputs, outputs), of every chunk of rows.
struct WeightGradient {
  int64_t rows, inputs, outputs;
  const float* x;
  const float* grad;
  float* sums;  // (chunks, inputs, outputs)

  template <int Bytes>
  SGAS_INLINE void run(int64_t begin, int64_t end) const {
    for (int64_t chunk = begin; chunk < end; ++chunk) {
      over_outputs<Bytes>(*this, chunk, chunk + 1);
    }
  }

  template <int Bytes, int Vectors>
  SGAS_INLINE void block(int64_t chunk, int64_t, int64_t channel) const {
    int64_t input = 0;
    for (; input + tile_rows<Bytes> <= inputs; input += tile_rows<Bytes>) {
      tile<Bytes, Vectors, tile_rows<Bytes>>(chunk, input, channel);
    }
    for (; input < inputs; ++input) {
      tile<Bytes, Vectors, 1>(chunk, input, channel);
    }
  }

  template <int Bytes, int Vectors, int Inputs>
  SGAS_INLINE void tile(int64_t chunk, int64_t input, int64_t channel) const {
    using V = Vector<float, Bytes>;
    typename V::type totals[Inputs][Vectors] = {};
    const int64_t stop = std::min(rows, (chunk + 1) * summed_rows);
    for (int64_t row = chunk * summed_rows; row < stop; ++row) {
      typename V::type loaded[Vectors];
      for (int vector = 0; vector < Vectors; ++vector) {
        loaded[vector] = V::load(grad + row * outputs + channel + vector * V::lanes);
      }
      for (int one = 0; one < Inputs; ++one) {
        const float value = x[row * inputs + input + one];
        for (int vector = 0; vector < Vectors; ++vector) {
          totals[one][vector] += value * loaded[vector];
        }
      }
    }
    float* to = sums + (chunk * inputs + input) * outputs + channel;
    for (int one = 0; one < Inputs; ++one) {
      for (int vector = 0; vector < Vectors; ++vector) {
        V::store(to + one * outputs + vector * V::lanes, totals[one][vector]);
      }
    }
  }
};

// The number of rows of what has its channels last.
int64_t row_count(const at::Tensor& x) {
  return x.numel() / std::max<int64_t>(1, x.size(-1));
}

// `matrix` is (inputs, outputs); the result has the shape of x but for its last dimension.
at::Tensor product(const at::Tensor& x, const at::Tensor& matrix) {
  auto shape = x.sizes().vec();
  shape.back() = matrix.size(1);
  auto y = at::empty(shape, x.options());
  const Product kernel{matrix.size(0), matrix.size(1), x.const_data_ptr<float>(), matrix.const_data_ptr<float>(),
                       y.mutable_data_ptr<float>()};
  parallel(kernel, row_count(x), kernel.inputs * kernel.outputs);
  return y;
}

// (outputs, inputs), as the weight is stored. Chunks are added up in their order, so that the number of threads changes
// no bit.
at::Tensor weight_gradient(const at::Tensor& x, const at::Tensor& grad) {
  const int64_t rows = row_count(x), inputs = x.size(-1), outputs = grad.size(-1);
  const int64_t chunks = (rows + summed_rows - 1) / summed_rows;
  float* sums = scratch<WeightGradient, float>(chunks * inputs * outputs);
  const WeightGradient kernel{rows, inputs, outputs, x.const_data_ptr<float>(), grad.const_data_ptr<float>(), sums};
  parallel(kernel, chunks, summed_rows * inputs * outputs);
  double* totals = scratch<WeightGradient, double>(inputs * outputs);
  std::fill_n(totals, inputs * outputs, 0.0);
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    for (int64_t at = 0; at < inputs * outputs; ++at) {
      totals[at] += static_cast<double>(sums[chunk * inputs * outputs + at]);
    }
  }
  auto result = at::empty({outputs, inputs}, x.options());
  float* to = result.mutable_data_ptr<float>();
  for (int64_t output = 0; output < outputs; ++output) {
    for (int64_t input = 0; input < inputs; ++input) {
      to[output * inputs + input] = static_cast<float>(totals[input * outputs + output]);
    }
  }
  return result;
}

struct Linear : torch::autograd::Function<Linear> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& weight) {
    const auto rows = x.contiguous();
    ctx->save_for_backward({weight.requires_grad() ? rows : at::Tensor(), weight});
    ctx->saved_data["of_x"] = x.requires_grad();
    return product(rows, weight.t().contiguous());
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    check_first_order();
    const auto saved = ctx->get_saved_variables();
    const auto grad = grads[0].contiguous();
    at::Tensor of_x, of_weight;
    if (ctx->saved_data["of_x"].toBool() && ctx->needs_input_grad(0)) {
      of_x = product(grad, saved[1].contiguous());
    }
    if (saved[0].defined() && ctx->needs_input_grad(1)) {
      of_weight = weight_gradient(saved[0], grad);
    }
    return {of_x, of_weight};
  }
};

bool is_small(const at::Tensor& x, const at::Tensor& weight) {
  const auto fits = [](int64_t channels) { return 0 < channels && channels <= most_channels; };
  return x.scalar_type() == at::kFloat && weight.scalar_type() == at::kFloat && x.dim() >= 2 && weight.dim() == 2 &&
         x.size(-1) == weight.size(1) && x.numel() > 0 && fits(weight.size(0)) && fits(weight.size(1)) &&
         // What autocast would compute in half precision is a matter of libtorch.
         !at::autocast::is_autocast_enabled(at::kCPU);
}

}  // namespace
}  // namespace sgas

extern "C" {

char* sgas_linear(at::Tensor** out, const at::Tensor* x, const at::Tensor* weight) {
  return sgas::guarded([&] {
    sgas::check_cpu({x, weight});
    const bool small = sgas::is_small(*x, *weight);
    if (small) {
      sgas::note_type(*x);
    }
    sgas::give(out, small ? sgas::Linear::apply(*x, *weight) : at::linear(*x, *weight));
  });
}

}  // extern "C"
