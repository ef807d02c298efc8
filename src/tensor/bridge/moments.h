// The passes over rows that batch norms are made of: sums per channel, and the gradient of what was normalised. act is
// ReLU where `leak`, its slope below zero, is 0, and the identity where it is 1.
#pragma once

#include "norm.h"

#include <algorithm>
#include <vector>

namespace sgas {

// Adds the vectors of a row from `channel` on, then narrower ones.
template <int Bytes, class Kernel, class T>
SGAS_INLINE void add_row(const Kernel& kernel, int64_t row, int64_t channel, T* first, T* second) {
  constexpr int64_t lanes = Vector<T, Bytes>::lanes;
  for (; channel + lanes <= kernel.channels; channel += lanes) {
    kernel.template add<Bytes>(row, channel, first + channel, second + channel);
  }
  if constexpr (lanes > 1) {
    add_row<narrower<T, Bytes>>(kernel, row, channel, first, second);
  }
}

// Two sums per chunk of rows and channel: `kernel.add<Bytes>` adds a vector of a row to both.
template <int Bytes, class Kernel>
SGAS_INLINE void sum_chunks(const Kernel& kernel, int64_t begin, int64_t end) {
  using T = typename Kernel::Element;
  std::vector<T> partial(2 * kernel.channels);
  T* first = partial.data();
  T* second = first + kernel.channels;
  for (int64_t chunk = begin; chunk < end; ++chunk) {
    const int64_t stop = std::min(kernel.rows, (chunk + 1) * chunk_rows);
    for (int64_t start = chunk * chunk_rows; start < stop; start += flush_rows) {
      std::fill(partial.begin(), partial.end(), T(0));
      for (int64_t row = start; row < std::min(stop, start + flush_rows); ++row) {
        add_row<Bytes>(kernel, row, 0, first, second);
      }
      for (int64_t channel = 0; channel < kernel.channels; ++channel) {
        kernel.sums->at(chunk, 0)[channel] += static_cast<double>(first[channel]);
        kernel.sums->at(chunk, 1)[channel] += static_cast<double>(second[channel]);
      }
    }
  }
}

// act(x): shifted sum and sum of squares.
template <class T>
struct Moments {
  using Element = T;
  int64_t channels;
  int64_t rows;
  T leak;
  const T* x;
  const T* shift;
  Sums* sums;

  template <int Bytes>
  SGAS_INLINE void run(int64_t begin, int64_t end) const {
    sum_chunks<Bytes>(*this, begin, end);
  }

  template <int Bytes>
  SGAS_INLINE void add(int64_t row, int64_t channel, T* sum, T* squares) const {
    using V = Vector<T, Bytes>;
    const auto value = V::leaky_relu(V::load(x + row * channels + channel), leak) - V::load(shift + channel);
    V::store(sum, V::load(sum) + value);
    V::store(squares, V::load(squares) + value * value);
  }
};

// Sums of dy and of dy · (act(x) − mean).
template <class T>
struct GradientMoments {
  using Element = T;
  int64_t channels;
  int64_t rows;
  T leak;
  const T* grad;
  const T* x;
  const T* mean;
  Sums* sums;

  template <int Bytes>
  SGAS_INLINE void run(int64_t begin, int64_t end) const {
    sum_chunks<Bytes>(*this, begin, end);
  }

  template <int Bytes>
  SGAS_INLINE void add(int64_t row, int64_t channel, T* sum, T* products) const {
    using V = Vector<T, Bytes>;
    const auto dy = V::load(grad + row * channels + channel);
    const auto value = V::leaky_relu(V::load(x + row * channels + channel), leak) - V::load(mean + channel);
    V::store(sum, V::load(sum) + dy);
    V::store(products, V::load(products) + dy * value);
  }
};

// dx = act'(x) · (factor · dy − constant − slope · act(x)).
template <class T>
struct InputGradient {
  using Element = T;
  int64_t channels;
  T leak;
  const T* grad;
  const T* x;
  const T* factor;
  const T* constant;
  const T* slope;
  T* grad_x;

  template <int Bytes>
  SGAS_INLINE void run(int64_t begin, int64_t end) const {
    over_channels<Bytes>(*this, begin, end, 1);
  }

  template <int Bytes>
  SGAS_INLINE void block(int64_t begin, int64_t end, int64_t channel) const {
    using V = Vector<T, Bytes>;
    const auto scale = V::load(factor + channel);
    const auto offset = V::load(constant + channel);
    const auto along = V::load(slope + channel);
    for (int64_t row = begin; row < end; ++row) {
      const auto value = V::load(x + row * channels + channel);
      const auto activated = V::leaky_relu(value, leak);
      const auto dy = V::load(grad + row * channels + channel) * scale - offset - activated * along;
      V::store(grad_x + row * channels + channel, value > T(0) ? dy : (leak == T(0) ? typename V::type{} : dy * leak));
    }
  }
};

inline int64_t chunks(int64_t rows) {
  return (rows + chunk_rows - 1) / chunk_rows;
}

}  // namespace sgas
