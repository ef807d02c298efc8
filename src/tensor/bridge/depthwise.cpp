// Depthwise convolution of images that lie channels-last, with or without a ReLU before: one kernel per channel, odd
// and square, 3, 5 or 7 wide. Vectors run over the channels; a tile of pixels shares the taps that were loaded. Of a band of
// rows the lines are laid out first, with zeros around, so that pixels at the edge cost what others cost. The ReLU's output
// is not stored: backward computes it from the input again.
#include "kernels.h"

#include <ATen/ops/empty.h>

#include <vector>

namespace sgas {
namespace {

// Output rows whose products are summed in T before they go to double precision.
constexpr int64_t summed_rows = 4;
// Output rows of an image that share the lines that were made for them.
constexpr int64_t band_rows = 16;
// Pixels that share a tap.
constexpr int tile = 8;

// Sizes of both images, and of the window between them.
struct Geometry {
  int64_t images, channels;
  int64_t height, width;            // of what is read
  int64_t out_height, out_width;
  int64_t kernel, stride, padding, dilation;
  int64_t spread = 1;               // zeros are put between pixels that are read, as many as this less one

  int64_t bands() const { return (out_height + band_rows - 1) / band_rows; }
  int64_t units() const { return images * bands(); }
  int64_t reach() const { return (kernel - 1) * dilation; }
  // Pixels of a line as the window sees it, from the first that it covers to the last.
  int64_t line() const { return (out_width - 1) * stride + reach() + 1; }
};

// A band of output rows of one image.
struct Band {
  int64_t image, begin, end;

  Band(const Geometry& at, int64_t unit)
      : image(unit / at.bands()),
        begin(unit % at.bands() * band_rows),
        end(std::min(at.out_height, begin + band_rows)) {}
};

// The lines that a band reads, of one vector of channels: side by side, rectified where that is asked for, with zeros
// where the window leaves the image. What follows needs neither to look for edges nor to step over channels.
template <class T, bool Relu>
class Lines {
 public:
  Lines(const Geometry& at, const T* x) : at_(at), x_(x) {}

  template <int Bytes>
  SGAS_INLINE const T* fill(const Band& band, int64_t channel) const {
    constexpr int64_t lanes = Vector<T, Bytes>::lanes;
    const int64_t first = band.begin * at_.stride - at_.padding;
    const int64_t count = (band.end - band.begin - 1) * at_.stride + at_.reach() + 1;
    T* lines = scratch<Lines, T>(count * at_.line() * lanes);
    for (int64_t index = 0; index < count; ++index) {
      line<Bytes>(band.image, first + index, channel, lines + index * at_.line() * lanes);
    }
    return lines;
  }

 private:
  // `y` counts the zeros between rows too.
  template <int Bytes>
  SGAS_INLINE void line(int64_t image, int64_t y, int64_t channel, T* to) const {
    using V = Vector<T, Bytes>;
    const bool outside = y < 0 || y % at_.spread != 0 || y / at_.spread >= at_.height;
    const int64_t covered = outside ? 0 : std::min(at_.width, (at_.line() - at_.padding - 1) / at_.spread + 1);
    if (covered < at_.line()) {
      std::fill(to, to + at_.line() * V::lanes, T(0));
    }
    const T* from = x_ + (image * at_.height + y / at_.spread) * at_.width * at_.channels + channel;
    for (int64_t column = 0; column < covered; ++column) {
      const auto pixel = V::load(from + column * at_.channels);
      V::store(to + (at_.padding + column * at_.spread) * V::lanes, Relu ? V::relu(pixel) : pixel);
    }
  }

  const Geometry& at_;
  const T* x_;
};

// out = Σ_taps x · tap. With a gate the output is zero where the gate is not positive.
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
    over_channels<Bytes>(*this, begin, end, end - begin);
  }

  template <int Bytes>
  SGAS_INLINE void block(int64_t begin, int64_t end, int64_t channel) const {
    const Lines<T, Relu> lines(at, x);
    for (int64_t unit = begin; unit < end; ++unit) {
      const Band band(at, unit);
      const T* filled = lines.template fill<Bytes>(band, channel);
      for (int64_t row = band.begin; row < band.end; ++row) {
        const T* line = filled + (row - band.begin) * at.stride * at.line() * Vector<T, Bytes>::lanes;
        const int64_t place = (band.image * at.out_height + row) * at.out_width;
        if (at.stride == 1) {
          columns<Bytes, true>(line, place, channel);
        } else {
          columns<Bytes, false>(line, place, channel);
        }
      }
    }
  }

  template <int Bytes, bool Dense>
  SGAS_INLINE void columns(const T* line, int64_t place, int64_t channel) const {
    int64_t column = 0;
    for (; column + tile <= at.out_width; column += tile) {
      pixels<Bytes, Dense, tile>(line, place, column, channel);
    }
    if (column + tile / 2 <= at.out_width) {
      pixels<Bytes, Dense, tile / 2>(line, place, column, channel);
      column += tile / 2;
    }
    for (; column < at.out_width; ++column) {
      pixels<Bytes, Dense, 1>(line, place, column, channel);
    }
  }

  template <int Bytes, bool Dense, int Pixels>
  SGAS_INLINE void pixels(const T* line, int64_t place, int64_t column, int64_t channel) const {
    using V = Vector<T, Bytes>;
    const int64_t step = (Dense ? 1 : at.stride) * V::lanes;
    typename V::type sums[Pixels] = {};
    for (int64_t u = 0; u < at.kernel; ++u) {
      const T* from = line + u * at.dilation * at.line() * V::lanes + column * step;
      const T* tap = taps + u * at.kernel * channels + channel;
      for (int64_t v = 0; v < at.kernel; ++v) {
        const auto weight = V::load(tap + v * channels);
        for (int pixel = 0; pixel < Pixels; ++pixel) {
          sums[pixel] += V::load(from + v * at.dilation * V::lanes + pixel * step) * weight;
        }
      }
    }
    for (int pixel = 0; pixel < Pixels; ++pixel) {
      const int64_t to = (place + column + pixel) * channels + channel;
      if (gate != nullptr) {
        sums[pixel] = V::load(gate + to) > T(0) ? sums[pixel] : typename V::type{};
      }
      V::store(out + to, sums[pixel]);
    }
  }
};

// Σ over pixels of gradient · x per tap, for bands of output rows of an image.
template <class T, bool Relu, int Kernel>
struct TapGradient {
  using Element = T;
  // Pixels at a time, so that enough sums are under way.
  static constexpr int pixels = Kernel == 3 ? 3 : 2;
  Geometry at;
  int64_t channels;
  const T* grad;
  const T* x;
  double* sums;  // (units, kernel, kernel, C)

  template <int Bytes>
  SGAS_INLINE void run(int64_t begin, int64_t end) const {
    over_channels<Bytes>(*this, begin, end, end - begin);
  }

  template <int Bytes>
  SGAS_INLINE void block(int64_t begin, int64_t end, int64_t channel) const {
    const Lines<T, Relu> lines(at, x);
    for (int64_t unit = begin; unit < end; ++unit) {
      const Band band(at, unit);
      const T* filled = lines.template fill<Bytes>(band, channel);
      for (int64_t row = band.begin; row < band.end; row += summed_rows) {
        const int64_t stop = std::min(band.end, row + summed_rows);
        for (int64_t u = 0; u < Kernel; ++u) {
          row_of_taps<Bytes>(filled, unit, row, stop, u, channel);
        }
      }
    }
  }

  template <int Bytes>
  SGAS_INLINE void row_of_taps(const T* filled, int64_t unit, int64_t begin, int64_t end, int64_t u,
                               int64_t channel) const {
    using V = Vector<T, Bytes>;
    const Band band(at, unit);
    typename V::type totals[pixels][Kernel] = {};
    for (int64_t row = begin; row < end; ++row) {
      const int64_t y = (row - band.begin) * at.stride + u * at.dilation;
      const T* line = filled + y * at.line() * V::lanes;
      const T* gradients = grad + (band.image * at.out_height + row) * at.out_width * channels + channel;
      int64_t column = 0;
      for (; column + pixels <= at.out_width; column += pixels) {
        for (int pixel = 0; pixel < pixels; ++pixel) {
          add<Bytes>(line, gradients, column + pixel, totals[pixel]);
        }
      }
      for (; column < at.out_width; ++column) {
        add<Bytes>(line, gradients, column, totals[0]);
      }
    }
    for (int v = 0; v < Kernel; ++v) {
      for (int pixel = 1; pixel < pixels; ++pixel) {
        totals[0][v] += totals[pixel][v];
      }
      V::flush(sums + ((unit * Kernel + u) * Kernel + v) * channels + channel, totals[0][v]);
    }
  }

  template <int Bytes>
  SGAS_INLINE void add(const T* line, const T* gradients, int64_t column,
                       typename Vector<T, Bytes>::type (&totals)[Kernel]) const {
    using V = Vector<T, Bytes>;
    const auto gradient = V::load(gradients + column * channels);
    for (int v = 0; v < Kernel; ++v) {
      totals[v] += gradient * V::load(line + (column * at.stride + v * at.dilation) * V::lanes);
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
  const int64_t work = std::min(band_rows, at.out_height) * at.out_width * at.channels * at.kernel * at.kernel;
  const auto run = [&](auto kernel) { parallel(kernel, at.units(), work); };
  const T* from = x.const_data_ptr<T>();
  T* to = out.mutable_data_ptr<T>();
  if (relu) {
    run(Correlation<T, true>{at, at.channels, from, taps.data(), gate, to});
  } else {
    run(Correlation<T, false>{at, at.channels, from, taps.data(), gate, to});
  }
  return out;
}

// Of the convolution's input: itself a convolution of the gradient with the turned taps, where the gradient's pixels
// stand as far apart as the window moved.
template <class T>
at::Tensor input_gradient(const Geometry& at, const at::Tensor& grad, const at::Tensor& weight, const T* gate) {
  const Geometry back{at.images, at.channels, at.out_height, at.out_width, at.height, at.width, at.kernel, 1,
                      at.reach() - at.padding, at.dilation, at.stride};
  return correlate<T>(back, grad, tap_major<T>(weight, true), false, gate);
}

template <class T, bool Relu, int Kernel>
at::Tensor tap_gradient(const Geometry& at, const at::Tensor& grad, const at::Tensor& x) {
  TapGradient<T, Relu, Kernel> kernel{at, at.channels, grad.const_data_ptr<T>(), x.const_data_ptr<T>(), nullptr};
  const int64_t taps = Kernel * Kernel * at.channels;
  double* sums = scratch<TapGradient<T, Relu, Kernel>, double>(at.units() * taps);
  std::fill_n(sums, at.units() * taps, 0.0);
  kernel.sums = sums;
  parallel(kernel, at.units(), std::min(band_rows, at.out_height) * at.out_width * taps);
  auto gradient = at::empty({at.channels, 1, Kernel, Kernel}, grad.options());
  T* to = gradient.template mutable_data_ptr<T>();
  for (int64_t tap = 0; tap < taps; ++tap) {
    double total = 0;
    for (int64_t unit = 0; unit < at.units(); ++unit) {
      total += sums[unit * taps + tap];
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
