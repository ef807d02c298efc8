// Depthwise convolution of images that lie channels-last, with or without a ReLU before: one kernel per channel, odd
// and square, 3, 5 or 7 wide. Vectors run over the channels; a tile of pixels shares the taps that were loaded. The
// ReLU's output is not stored: backward computes it from the input again.
#include "kernels.h"

#include <ATen/ops/empty.h>

#include <vector>

namespace sgas {
namespace {

// Output rows whose products are summed in T before they go to double precision.
constexpr int64_t summed_rows = 4;
// Pixels that share a tap.
constexpr int tile = 8;

// Sizes of both images, and of the window between them.
struct Geometry {
  int64_t images, channels;
  int64_t height, width;            // of what is read
  int64_t out_height, out_width;
  int64_t kernel, stride, padding, dilation;

  // The columns whose taps all lie within the image.
  int64_t inner_begin() const { return std::min(out_width, (padding + stride - 1) / stride); }
  int64_t inner_end() const {
    const int64_t room = width - 1 - (kernel - 1) * dilation + padding;
    return std::max(inner_begin(), room < 0 ? 0 : std::min(out_width, room / stride + 1));
  }
};

template <class T, bool Relu, int Bytes>
SGAS_INLINE typename Vector<T, Bytes>::type rectified(const T* from) {
  using V = Vector<T, Bytes>;
  return Relu ? V::relu(V::load(from)) : V::load(from);
}

// out = Σ_taps x · tap, for output rows counted over all images. With a gate the output is zero where the gate is not
// positive.
template <class T, bool Relu>
struct Correlation {
  using Element = T;
  Geometry at;
  int64_t channels;
  const T* x;
  const T* taps;  // (kernel, kernel, C)
  const T* gate;  // like out, or null
  T* out;

  template <int Bytes>
  SGAS_INLINE void run(int64_t begin, int64_t end) const {
    over_channels<Bytes>(*this, begin, end, 1);
  }

  template <int Bytes>
  SGAS_INLINE void block(int64_t begin, int64_t end, int64_t channel) const {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t first = at.inner_begin();
      const int64_t last = at.inner_end();
      int64_t column = 0;
      for (; column < first; ++column) {
        pixels<Bytes, 1, true>(row, column, channel);
      }
      for (; column + tile <= last; column += tile) {
        pixels<Bytes, tile, false>(row, column, channel);
      }
      for (; column < last; ++column) {
        pixels<Bytes, 1, false>(row, column, channel);
      }
      for (; column < at.out_width; ++column) {
        pixels<Bytes, 1, true>(row, column, channel);
      }
    }
  }

  template <int Bytes, int Pixels, bool Border>
  SGAS_INLINE void pixels(int64_t row, int64_t column, int64_t channel) const {
    using V = Vector<T, Bytes>;
    typename V::type sums[Pixels] = {};
    const int64_t top = row % at.out_height * at.stride - at.padding;
    const int64_t left = column * at.stride - at.padding;
    for (int64_t u = 0; u < at.kernel; ++u) {
      const int64_t y = top + u * at.dilation;
      if (y < 0 || y >= at.height) {
        continue;
      }
      const T* line = x + (row / at.out_height * at.height + y) * at.width * channels + channel;
      for (int64_t v = 0; v < at.kernel; ++v) {
        const int64_t position = left + v * at.dilation;
        if (Border && (position < 0 || position >= at.width)) {
          continue;
        }
        const auto tap = V::load(taps + (u * at.kernel + v) * channels + channel);
        for (int pixel = 0; pixel < Pixels; ++pixel) {
          sums[pixel] += rectified<T, Relu, Bytes>(line + (position + pixel * at.stride) * channels) * tap;
        }
      }
    }
    for (int pixel = 0; pixel < Pixels; ++pixel) {
      const int64_t place = (row * at.out_width + column + pixel) * channels + channel;
      if (gate != nullptr) {
        sums[pixel] = V::load(gate + place) > T(0) ? sums[pixel] : typename V::type{};
      }
      V::store(out + place, sums[pixel]);
    }
  }
};

// The gradient of what a strided convolution read: every pixel gathers from the outputs that its taps reached. Here
// `at` is that of the convolution itself; rows are those of its input.
template <class T>
struct StridedGradient {
  using Element = T;
  Geometry at;
  int64_t channels;
  const T* grad;
  const T* taps;
  const T* gate;
  T* out;

  template <int Bytes>
  SGAS_INLINE void run(int64_t begin, int64_t end) const {
    over_channels<Bytes>(*this, begin, end, 1);
  }

  template <int Bytes>
  SGAS_INLINE void block(int64_t begin, int64_t end, int64_t channel) const {
    using V = Vector<T, Bytes>;
    for (int64_t row = begin; row < end; ++row) {
      for (int64_t column = 0; column < at.width; ++column) {
        typename V::type sum{};
        for (int64_t u = 0; u < at.kernel; ++u) {
          const int64_t y = reached(row % at.height, u, at.out_height);
          for (int64_t v = 0; y >= 0 && v < at.kernel; ++v) {
            const int64_t position = reached(column, v, at.out_width);
            if (position >= 0) {
              const int64_t from = ((row / at.height * at.out_height + y) * at.out_width + position) * channels;
              sum += V::load(grad + from + channel) * V::load(taps + (u * at.kernel + v) * channels + channel);
            }
          }
        }
        const int64_t place = (row * at.width + column) * channels + channel;
        if (gate != nullptr) {
          sum = V::load(gate + place) > T(0) ? sum : typename V::type{};
        }
        V::store(out + place, sum);
      }
    }
  }

  // The output that read `position` with this tap; -1 where there is none.
  SGAS_INLINE int64_t reached(int64_t position, int64_t tap, int64_t size) const {
    const int64_t shifted = position + at.padding - tap * at.dilation;
    return shifted < 0 || shifted % at.stride != 0 || shifted / at.stride >= size ? -1 : shifted / at.stride;
  }
};

// Σ over pixels of gradient · x per tap, for chunks of `summed_rows` output rows of an image.
template <class T, bool Relu, int Kernel>
struct TapGradient {
  using Element = T;
  Geometry at;
  int64_t channels;
  const T* grad;
  const T* x;
  double* sums;  // (chunks, kernel, kernel, C)

  int64_t chunks_per_image() const { return (at.out_height + summed_rows - 1) / summed_rows; }

  template <int Bytes>
  SGAS_INLINE void run(int64_t begin, int64_t end) const {
    over_channels<Bytes>(*this, begin, end, 1);
  }

  template <int Bytes>
  SGAS_INLINE void block(int64_t begin, int64_t end, int64_t channel) const {
    for (int64_t chunk = begin; chunk < end; ++chunk) {
      for (int64_t u = 0; u < Kernel; ++u) {
        row_of_taps<Bytes>(chunk, u, channel);
      }
    }
  }

  template <int Bytes>
  SGAS_INLINE void row_of_taps(int64_t chunk, int64_t u, int64_t channel) const {
    using V = Vector<T, Bytes>;
    const int64_t image = chunk / chunks_per_image();
    const int64_t start = chunk % chunks_per_image() * summed_rows;
    typename V::type totals[Kernel] = {};
    for (int64_t row = start; row < std::min(at.out_height, start + summed_rows); ++row) {
      const int64_t y = row * at.stride - at.padding + u * at.dilation;
      if (y < 0 || y >= at.height) {
        continue;
      }
      const T* line = x + (image * at.height + y) * at.width * channels + channel;
      const T* gradients = grad + (image * at.out_height + row) * at.out_width * channels + channel;
      const int64_t first = at.inner_begin();
      const int64_t last = at.inner_end();
      for (int64_t column = 0; column < first; ++column) {
        pixel<Bytes, true>(line, gradients, column, totals);
      }
      for (int64_t column = first; column < last; ++column) {
        pixel<Bytes, false>(line, gradients, column, totals);
      }
      for (int64_t column = last; column < at.out_width; ++column) {
        pixel<Bytes, true>(line, gradients, column, totals);
      }
    }
    for (int v = 0; v < Kernel; ++v) {
      V::flush(sums + ((chunk * Kernel + u) * Kernel + v) * channels + channel, totals[v]);
    }
  }

  template <int Bytes, bool Border>
  SGAS_INLINE void pixel(const T* line, const T* gradients, int64_t column,
                         typename Vector<T, Bytes>::type (&totals)[Kernel]) const {
    using V = Vector<T, Bytes>;
    const auto gradient = V::load(gradients + column * channels);
    const int64_t left = column * at.stride - at.padding;
    for (int v = 0; v < Kernel; ++v) {
      const int64_t position = left + v * at.dilation;
      if (!Border || (position >= 0 && position < at.width)) {
        totals[v] += gradient * rectified<T, Relu, Bytes>(line + position * channels);
      }
    }
  }
};

at::Tensor image(const Geometry& at, int64_t height, int64_t width, const at::Tensor& like) {
  return at::empty({at.images, at.channels, height, width}, like.options(), at::MemoryFormat::ChannelsLast);
}

// (C, 1, k, k) as (k, k, C), or turned by half a circle.
template <class T>
std::vector<T> tap_major(const at::Tensor& weight, bool turned) {
  const auto flat = weight.contiguous();
  const int64_t channels = flat.size(0);
  const int64_t count = flat.numel() / channels;
  const T* from = flat.const_data_ptr<T>();
  std::vector<T> taps(flat.numel());
  for (int64_t channel = 0; channel < channels; ++channel) {
    for (int64_t tap = 0; tap < count; ++tap) {
      taps[(turned ? count - 1 - tap : tap) * channels + channel] = from[channel * count + tap];
    }
  }
  return taps;
}

template <class T>
at::Tensor correlate(const Geometry& at, const at::Tensor& x, const std::vector<T>& taps, bool relu, const T* gate) {
  auto out = image(at, at.out_height, at.out_width, x);
  const int64_t rows = at.images * at.out_height;
  const int64_t work = at.out_width * at.channels * at.kernel * at.kernel;
  const auto run = [&](auto kernel) { parallel(kernel, rows, work); };
  const T* from = x.const_data_ptr<T>();
  T* to = out.mutable_data_ptr<T>();
  if (relu) {
    run(Correlation<T, true>{at, at.channels, from, taps.data(), gate, to});
  } else {
    run(Correlation<T, false>{at, at.channels, from, taps.data(), gate, to});
  }
  return out;
}

// Of the convolution's input; at stride 1 it is itself a convolution of the gradient with the turned taps.
template <class T>
at::Tensor input_gradient(const Geometry& at, const at::Tensor& grad, const at::Tensor& weight, const T* gate) {
  if (at.stride == 1) {
    const Geometry back{at.images, at.channels, at.out_height, at.out_width, at.height, at.width, at.kernel, 1,
                        (at.kernel - 1) * at.dilation - at.padding, at.dilation};
    return correlate<T>(back, grad, tap_major<T>(weight, true), false, gate);
  }
  auto out = image(at, at.height, at.width, grad);
  const auto taps = tap_major<T>(weight, false);
  const StridedGradient<T> kernel{at, at.channels, grad.const_data_ptr<T>(), taps.data(), gate,
                                  out.mutable_data_ptr<T>()};
  parallel(kernel, at.images * at.height, at.width * at.channels * at.kernel * at.kernel);
  return out;
}

template <class T, bool Relu, int Kernel>
at::Tensor tap_gradient(const Geometry& at, const at::Tensor& grad, const at::Tensor& x) {
  TapGradient<T, Relu, Kernel> kernel{at, at.channels, grad.const_data_ptr<T>(), x.const_data_ptr<T>(), nullptr};
  const int64_t chunks = at.images * kernel.chunks_per_image();
  const int64_t taps = Kernel * Kernel * at.channels;
  std::vector<double> sums(chunks * taps);
  kernel.sums = sums.data();
  parallel(kernel, chunks, summed_rows * at.out_width * taps);
  auto gradient = at::empty({at.channels, 1, Kernel, Kernel}, grad.options());
  T* to = gradient.template mutable_data_ptr<T>();
  for (int64_t tap = 0; tap < taps; ++tap) {
    double total = 0;
    for (int64_t chunk = 0; chunk < chunks; ++chunk) {
      total += sums[chunk * taps + tap];
    }
    to[tap % at.channels * Kernel * Kernel + tap / at.channels] = static_cast<T>(total);
  }
  return gradient;
}

template <class T, bool Relu>
at::Tensor weight_gradient(const Geometry& at, const at::Tensor& grad, const at::Tensor& x) {
  switch (at.kernel) {
    case 3: return tap_gradient<T, Relu, 3>(at, grad, x);
    case 5: return tap_gradient<T, Relu, 5>(at, grad, x);
    default: return tap_gradient<T, Relu, 7>(at, grad, x);
  }
}

int64_t convolved(int64_t size, int64_t kernel, int64_t stride, int64_t padding, int64_t dilation) {
  return (size + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1;
}

Geometry geometry(const at::Tensor& x, int64_t kernel, int64_t stride, int64_t padding, int64_t dilation) {
  return {x.size(0), x.size(1), x.size(2), x.size(3),
          convolved(x.size(2), kernel, stride, padding, dilation),
          convolved(x.size(3), kernel, stride, padding, dilation), kernel, stride, padding, dilation};
}

struct Depthwise : torch::autograd::Function<Depthwise> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& weight, int64_t stride,
                            int64_t padding, int64_t dilation, bool relu) {
    const auto at = geometry(x, weight.size(2), stride, padding, dilation);
    ctx->save_for_backward({x, weight});
    ctx->saved_data["window"] = c10::List<int64_t>({stride, padding, dilation});
    ctx->saved_data["relu"] = relu;
    at::Tensor out;
    by_type(x, [&](auto zero) {
      using T = decltype(zero);
      out = correlate<T>(at, x, tap_major<T>(weight, false), relu, nullptr);
    });
    return out;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    check_first_order();
    const auto saved = ctx->get_saved_variables();
    const auto& x = saved[0];
    const auto window = ctx->saved_data["window"].toIntVector();
    const bool relu = ctx->saved_data["relu"].toBool();
    const auto at = geometry(x, saved[1].size(2), window[0], window[1], window[2]);
    const auto grad = laid(grads[0]);
    at::Tensor grad_x, grad_weight;
    by_type(x, [&](auto zero) {
      using T = decltype(zero);
      if (ctx->needs_input_grad(0)) {
        grad_x = input_gradient<T>(at, grad, saved[1], relu ? x.const_data_ptr<T>() : nullptr);
      }
      if (ctx->needs_input_grad(1)) {
        grad_weight = relu ? weight_gradient<T, true>(at, grad, x) : weight_gradient<T, false>(at, grad, x);
      }
    });
    return {grad_x, grad_weight, {}, {}, {}, {}};
  }
};

void check(const at::Tensor& x, const at::Tensor& weight, int64_t stride, int64_t padding, int64_t dilation) {
  check_cpu({&x, &weight});
  TORCH_CHECK(x.dim() == 4 && at::isFloatingType(x.scalar_type()), "expected images (B, C, H, W), found ", x.sizes());
  const bool square = weight.dim() == 4 && weight.size(0) == x.size(1) && weight.size(1) == 1 &&
                      weight.size(2) == weight.size(3) && weight.size(2) >= 3 && weight.size(2) <= 7 &&
                      weight.size(2) % 2 == 1;
  TORCH_CHECK(square, "expected kernels (", x.size(1), ", 1, k, k) with k 3, 5 or 7, found ", weight.sizes());
  const int64_t reach = dilation * (weight.size(2) - 1);
  TORCH_CHECK(stride > 0 && dilation > 0 && padding >= 0 && padding <= reach, "expected a padding of 0 to ", reach,
              ", found stride ", stride, ", padding ", padding, ", dilation ", dilation);
  TORCH_CHECK(x.size(2) + 2 * padding > reach && x.size(3) + 2 * padding > reach, "the image ", x.sizes(),
              " is smaller than the window");
}

}  // namespace
}  // namespace sgas

extern "C" {

char* sgas_depthwise(at::Tensor** out, const at::Tensor* x, const at::Tensor* weight, int64_t stride, int64_t padding,
                     int64_t dilation, int relu) {
  return sgas::guarded([&] {
    sgas::check(*x, *weight, stride, padding, dilation);
    const auto wide = sgas::laid(*x);
    const auto taps = sgas::as_type(*weight, wide.scalar_type());
    const auto result = sgas::Depthwise::apply(wide, taps, stride, padding, dilation, relu != 0);
    sgas::give(out, sgas::as_type(result, x->scalar_type()));
  });
}

}  // extern "C"
