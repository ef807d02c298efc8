// What the kernels share: checks of their arguments, vectors of channels, one build for every processor.
//
// Features are rows, (R, C) contiguous, of B clouds with N = R / B points each; neighbours are int64 (R, k),
// global row numbers within the point's own cloud. A kernel is a struct with `run<Bytes>(begin, end)` over
// points, clouds or chunks; what it sums up across those is summed in their order, so that the number of
// threads changes no bit. Half types are widened to fp32 before and narrowed after: a gather reads every row
// k times, so one cast of the rows is cheaper than k casts of each.
#pragma once

#include "bridge.h"

#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <thread>
#include <type_traits>
#include <vector>

// Vectors are passed between functions that are all inlined, so their calling convention never matters.
#pragma GCC diagnostic ignored "-Wpsabi"

#define SGAS_INLINE inline __attribute__((always_inline))

namespace sgas {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// `Bytes` of elements T, side by side. One element is a vector too: the rest of a row is done with those.
// One `?:` must not choose from what another chose by another comparison: GCC joins the masks, and takes joined
// masks apart into single elements.
template <class T, int Bytes>
struct Vector {
  static constexpr int lanes = Bytes / static_cast<int>(sizeof(T));
  typedef T type __attribute__((vector_size(Bytes)));
  // What comparisons give: whole numbers as wide as T, all bits set where true.
  using whole = std::conditional_t<sizeof(T) == 8, int64_t, std::conditional_t<sizeof(T) == 4, int32_t, int8_t>>;
  typedef whole mask __attribute__((vector_size(Bytes)));

  static SGAS_INLINE type load(const T* from) {
    type value;
    std::memcpy(&value, from, Bytes);
    return value;
  }

  static SGAS_INLINE void store(T* to, const type& value) { std::memcpy(to, &value, Bytes); }

  static SGAS_INLINE mask all(int64_t value) { return mask{} + static_cast<whole>(value); }

  static SGAS_INLINE type relu(const type& value) { return value < T(0) ? type{} : value; }

  // ReLU where the slope is 0, for -inf too.
  static SGAS_INLINE type leaky_relu(const type& value, T slope) {
    return value < T(0) ? (slope == T(0) ? type{} : value * slope) : value;
  }

  // Of all lanes, always in the same order.
  static SGAS_INLINE T sum(const type& value) {
    T parts[lanes];
    store(parts, value);
    for (int half = lanes / 2; half > 0; half /= 2) {
      for (int lane = 0; lane < half; ++lane) {
        parts[lane] += parts[lane + half];
      }
    }
    return parts[0];
  }

  // Adds the lanes to sums in double precision and starts again at zero.
  static SGAS_INLINE void flush(double* sums, type& value) {
    for (int lane = 0; lane < lanes; ++lane) {
      sums[lane] += static_cast<double>(value[lane]);
    }
    value = type{};
  }
};

// <left, right> of `count` elements.
template <int Bytes, class T>
SGAS_INLINE T dot(const T* left, const T* right, int64_t count) {
  using V = Vector<T, Bytes>;
  typename V::type products{};
  int64_t at = 0;
  for (; at + V::lanes <= count; at += V::lanes) {
    products += V::load(left + at) * V::load(right + at);
  }
  T total = V::sum(products);
  for (; at < count; ++at) {
    total += left[at] * right[at];
  }
  return total;
}

// Sums in T are flushed into double precision after so many rows.
constexpr int64_t flush_rows = 16;
// Rows of a chunk, where rows need not stay in clouds.
constexpr int64_t chunk_rows = 256;
// Element operations that are worth a thread (threads.cpp).
extern const int64_t grain_operations;

// Rows that are gone through vector by vector of channels while they stay in the cache.
constexpr int64_t cached_rows = 64;

// Zeroes the rows of a cloud that a scatter is about to add to: they then lie in the cache of its thread.
template <class T>
SGAS_INLINE void clear_cloud(T* rows, int64_t cloud, int64_t points, int64_t channels) {
  std::memset(rows + cloud * points * channels, 0, points * channels * sizeof(T));
}

// Room of a thread for intermediate values, which stays for its next call. `Owner` keeps users apart.
template <class Owner, class T>
T* scratch(int64_t count) {
  static thread_local std::vector<T> room;
  if (static_cast<int64_t>(room.size()) < count) {
    room.resize(count);
  }
  return room.data();
}

// The next narrower vector: halves down to 16 bytes, then one element.
template <class T, int Bytes>
constexpr int narrower = Bytes > 16 ? Bytes / 2 : static_cast<int>(sizeof(T));

// Runs `kernel.block<Bytes>(begin, end, channel)` for every vector of channels that is left, then for narrower ones.
template <int Bytes, class Kernel>
SGAS_INLINE void over_vectors(const Kernel& kernel, int64_t begin, int64_t end, int64_t channel) {
  using Element = typename Kernel::Element;
  constexpr int64_t lanes = Bytes / static_cast<int64_t>(sizeof(Element));
  for (; channel + lanes <= kernel.channels; channel += lanes) {
    kernel.template block<Bytes>(begin, end, channel);
  }
  if constexpr (lanes > 1) {
    over_vectors<narrower<Element, Bytes>>(kernel, begin, end, channel);
  }
}

// The same `step` rows (or clouds, or chunks) at a time.
template <int Bytes, class Kernel>
SGAS_INLINE void over_channels(const Kernel& kernel, int64_t begin, int64_t end, int64_t step) {
  for (int64_t start = begin; start < end; start += step) {
    over_vectors<Bytes>(kernel, start, std::min(end, start + step), 0);
  }
}

// Vectors of 64 bytes, of 32, or of 16, which every processor has.
enum class Vectors { avx512, avx2, plain };

// Those that kernels use in this process.
Vectors widest_vectors();

#if defined(__x86_64__)
template <class Kernel>
__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"))) void run_avx512(
    const Kernel& kernel, int64_t begin, int64_t end) {
  kernel.template run<64>(begin, end);
}

template <class Kernel>
__attribute__((target("avx2,fma"))) void run_avx2(const Kernel& kernel, int64_t begin, int64_t end) {
  kernel.template run<32>(begin, end);
}
#endif

// Runs the kernel with the widest vectors that the processor has, or that ATEN_CPU_CAPABILITY allows libtorch.
template <class Kernel>
void run_widest(const Kernel& kernel, int64_t begin, int64_t end) {
#if defined(__x86_64__)
  switch (widest_vectors()) {
    case Vectors::avx512:
      return run_avx512(kernel, begin, end);
    case Vectors::avx2:
      return run_avx2(kernel, begin, end);
    case Vectors::plain:
      break;
  }
#endif
  kernel.template run<16>(begin, end);
}

// Calls `body(begin, end)` for parts of 0..count on all threads; a part has `grain` at least.
template <class Body>
void over_threads(int64_t count, int64_t grain, const Body& body) {
#if defined(__SANITIZE_THREAD__)
  // What OpenMP's threads wait for the sanitizer can't see; it knows C++'s. The parts are libtorch's.
  const int64_t most = std::max<int64_t>(1, (count + grain - 1) / grain);
  const int64_t parts = std::min<int64_t>(most, at::get_num_threads());
  const int64_t size = (count + parts - 1) / parts;
  std::vector<std::thread> others;
  for (int64_t begin = size; begin < count; begin += size) {
    others.emplace_back([&body, begin, end = std::min(count, begin + size)] { body(begin, end); });
  }
  if (count > 0) {
    body(0, std::min(count, size));
  }
  for (std::thread& other : others) {
    other.join();
  }
#else
  at::parallel_for(0, count, grain, body);
#endif
}

// Runs the kernel over 0..count on all threads; `operations` is the work of one of them.
template <class Kernel>
void parallel(const Kernel& kernel, int64_t count, int64_t operations) {
  const int64_t grain = std::max<int64_t>(1, grain_operations / std::max<int64_t>(1, operations));
  over_threads(count, grain, [&](int64_t begin, int64_t end) { run_widest(kernel, begin, end); });
}

// Calls `body` with a value of the element type of `like`, which is fp32 or fp64.
template <class Body>
void by_type(const at::Tensor& like, Body&& body) {
  note_type(like);
  if (like.scalar_type() == at::kDouble) {
    body(double{});
  } else {
    body(float{});
  }
}

// A neighbour list whose every index has been checked.
struct Neighbourhood {
  const int64_t* index;
  int64_t clouds;
  int64_t points;
  int64_t k;
  int64_t first;  // 1 where the first neighbour, the point itself, is left out

  int64_t rows() const { return clouds * points; }
  int64_t pairs() const { return rows() * (k - first); }
};

inline void check_cpu(std::initializer_list<const at::Tensor*> tensors) {
  for (const at::Tensor* tensor : tensors) {
    TORCH_CHECK(tensor->defined() && tensor->device().is_cpu() && tensor->layout() == at::kStrided,
                "this kernel wants dense tensors on the CPU");
  }
}

inline void check_rows(const at::Tensor& x) {
  TORCH_CHECK(x.dim() == 2, "expected features as rows (R, C), found ", x.sizes());
  TORCH_CHECK(at::isFloatingType(x.scalar_type()), "expected fp32, fp64, bf16 or fp16, found ", x.scalar_type());
}

inline void check_channels(const at::Tensor& values, int64_t channels, const char* name) {
  TORCH_CHECK(values.dim() == 1 && values.size(0) == channels && at::isFloatingType(values.scalar_type()),
              "expected ", name, " as (", channels, "), found ", values.sizes());
}

// In that type. libtorch's own `to` costs a call even where there is nothing to do, and kernels are short.
inline at::Tensor as_type(const at::Tensor& x, at::ScalarType type) {
  return x.scalar_type() == type ? x : x.to(type);
}

// What a kernel computes in: fp64 as it is, all else as fp32.
inline at::Tensor widen(const at::Tensor& x) {
  const auto wide = as_type(x, x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat);
  return wide.is_contiguous() ? wide : wide.contiguous();
}

// Rows (R, C), or images (B, C, H, W) as rows: widened, and the channels of a row or pixel side by side.
inline at::MemoryFormat layout(const at::Tensor& x) {
  return x.dim() == 4 ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous;
}

inline at::Tensor laid(const at::Tensor& x) {
  const auto wide = as_type(x, x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat);
  return wide.is_contiguous(layout(x)) ? wide : wide.contiguous(layout(x));
}

// True where a gradient may be asked for, so that something must be saved.
inline bool tracked(std::initializer_list<const at::Tensor*> tensors) {
  bool any = false;
  for (const at::Tensor* tensor : tensors) {
    any = any || tensor->requires_grad();
  }
  return any && at::GradMode::is_enabled();
}

// Hand-written backward passes have no derivative themselves; without this they would seem constant.
inline void check_first_order() {
  TORCH_CHECK(!at::GradMode::is_enabled(), "kernels have no second derivative (create_graph)");
}

// Sum over the neighbours (R, C) of fp32 or fp64 rows, each times its weight where `weights` (R, k) is defined, else
// all times `factor`; and the gradient of the rows.
at::Tensor sum_forward(const at::Tensor& x, const at::Tensor& weights, const Neighbourhood& list, double factor = 1);
at::Tensor sum_backward(
    const at::Tensor& grad, const at::Tensor& weights, const Neighbourhood& list, double factor = 1);

// Shapes and indices against each other; `neighbours` must be contiguous and outlive the result.
Neighbourhood checked_neighbourhood(
    const at::Tensor& x, const at::Tensor& neighbours, int64_t clouds, bool skip_self);

// The same for a list that was checked before.
inline Neighbourhood neighbourhood(const at::Tensor& neighbours, int64_t clouds, bool skip_self) {
  return {neighbours.const_data_ptr<int64_t>(), clouds, neighbours.size(0) / clouds, neighbours.size(1),
          skip_self ? 1 : 0};
}

}  // namespace sgas
