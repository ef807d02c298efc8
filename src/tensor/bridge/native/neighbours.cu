// Sums and maxima over the neighbours of a point, (R, C) → (R, C), and their gradients. A point has `k` neighbours, in
// `rows`; the gradients run over the pairs (point, neighbour) that name a row, which `pairs` lists from `first` on. A thread
// makes one number; sums are fp32, and in one order at every run.

// Σ_j x_j, each times its weight where there are `weights` (R, k); all times `factor`.
template <class T>
__device__ void neighbour_sum(
    const T* x, const i64* rows, const float* weights, T* out, u32 numbers, u32 channels, u32 k, float factor) {
  const u32 number = blockIdx.x * blockDim.x + threadIdx.x;
  if (number >= numbers) {
    return;
  }
  const u32 point = number / channels;
  const T* channel = x + (number - point * channels);
  const i64* neighbours = rows + static_cast<i64>(point) * k;
  const float* own_weights = weights == nullptr ? nullptr : weights + static_cast<i64>(point) * k;
  float sum = 0;
  SGAS_UNROLL_BY_4
  for (u32 neighbour = 0; neighbour < k; ++neighbour) {
    const float value = wide(channel[neighbours[neighbour] * channels]);
    sum += own_weights == nullptr ? value : own_weights[neighbour] * value;
  }
  narrow(sum * factor, out + number);
}

template <class T>
__device__ void neighbour_sum_back(const T* grad, const float* weights, const i64* pairs, const i64* first, T* out,
                                   u32 numbers, u32 channels, u32 k, float factor) {
  const u32 number = blockIdx.x * blockDim.x + threadIdx.x;
  if (number >= numbers) {
    return;
  }
  const u32 row = number / channels;
  const T* channel = grad + (number - row * channels);
  const i64 end = first[row + 1];
  float sum = 0;
  SGAS_UNROLL_BY_4
  for (i64 place = first[row]; place < end; ++place) {
    const u32 pair = static_cast<u32>(pairs[place]);
    const float value = wide(channel[static_cast<i64>(pair / k) * channels]);
    sum += weights == nullptr ? value : weights[pair] * value;
  }
  narrow(sum * factor, out + number);
}

// The gradient of the weights: <grad_i, x_j> of every pair, a warp each.
template <class T>
__device__ void neighbour_products(
    const T* grad, const T* x, const i64* rows, float* out, u32 pair_count, u32 channels, u32 k) {
  const u32 pair = (blockIdx.x * blockDim.x + threadIdx.x) / 32;
  const u32 lane = threadIdx.x % 32;
  float sum = 0;
  if (pair < pair_count) {
    const T* of_point = grad + static_cast<i64>(pair / k) * channels;
    const T* of_neighbour = x + rows[pair] * channels;
    for (u32 channel = lane; channel < channels; channel += 32) {
      sum += wide(of_point[channel]) * wide(of_neighbour[channel]);
    }
  }
  for (int distance = 16; distance > 0; distance /= 2) {
    sum += __shfl_xor_sync(0xffffffffu, sum, distance);
  }
  if (pair < pair_count && lane == 0) {
    out[pair] = sum;
  }
}

// max_j x_j, and which neighbour has it: the first of equal ones, or of those that are no numbers.
template <class T>
__device__ void neighbour_maximum(const T* x, const i64* rows, T* out, u8* which, u32 numbers, u32 channels, u32 k) {
  const u32 number = blockIdx.x * blockDim.x + threadIdx.x;
  if (number >= numbers) {
    return;
  }
  const u32 point = number / channels;
  const T* channel = x + (number - point * channels);
  const i64* neighbours = rows + static_cast<i64>(point) * k;
  float greatest = wide(channel[neighbours[0] * channels]);
  u32 place = 0;
  SGAS_UNROLL_BY_4
  for (u32 neighbour = 1; neighbour < k; ++neighbour) {
    const float value = wide(channel[neighbours[neighbour] * channels]);
    if (value > greatest || (value != value && greatest == greatest)) {
      greatest = value;
      place = neighbour;
    }
  }
  narrow(greatest, out + number);
  which[number] = static_cast<u8>(place);
}

template <class T>
__device__ void neighbour_maximum_back(const T* grad, const u8* which, const i64* pairs, const i64* first, T* out,
                                       u32 numbers, u32 channels, u32 k) {
  const u32 number = blockIdx.x * blockDim.x + threadIdx.x;
  if (number >= numbers) {
    return;
  }
  const u32 row = number / channels, channel = number - row * channels;
  const i64 end = first[row + 1];
  float sum = 0;
  SGAS_UNROLL_BY_4
  for (i64 place = first[row]; place < end; ++place) {
    const u32 pair = static_cast<u32>(pairs[place]), point = pair / k;
    const i64 from = static_cast<i64>(point) * channels + channel;
    sum += which[from] == pair - point * k ? wide(grad[from]) : 0.0f;
  }
  narrow(sum, out + number);
}

// The same for each type.
#define SGAS_NEIGHBOURS(T, type)                                                                                         \
  extern "C" __global__ void sgas_neighbour_sum_##type(const T* x, const i64* rows, const float* weights, T* out,        \
                                                       u32 numbers, u32 channels, u32 k, float factor) {                 \
    neighbour_sum(x, rows, weights, out, numbers, channels, k, factor);                                                  \
  }                                                                                                                      \
  extern "C" __global__ void sgas_neighbour_sum_back_##type(const T* grad, const float* weights, const i64* pairs,       \
                                                            const i64* first, T* out, u32 numbers, u32 channels, u32 k,  \
                                                            float factor) {                                              \
    neighbour_sum_back(grad, weights, pairs, first, out, numbers, channels, k, factor);                                  \
  }                                                                                                                      \
  extern "C" __global__ void sgas_neighbour_products_##type(const T* grad, const T* x, const i64* rows, float* out,      \
                                                            u32 pair_count, u32 channels, u32 k) {                       \
    neighbour_products(grad, x, rows, out, pair_count, channels, k);                                                     \
  }                                                                                                                      \
  extern "C" __global__ void sgas_neighbour_maximum_##type(const T* x, const i64* rows, T* out, u8* which, u32 numbers,  \
                                                           u32 channels, u32 k) {                                        \
    neighbour_maximum(x, rows, out, which, numbers, channels, k);                                                        \
  }                                                                                                                      \
  extern "C" __global__ void sgas_neighbour_maximum_back_##type(const T* grad, const u8* which, const i64* pairs,        \
                                                                const i64* first, T* out, u32 numbers, u32 channels,     \
                                                                u32 k) {                                                 \
    neighbour_maximum_back(grad, which, pairs, first, out, numbers, channels, k);                                        \
  }

SGAS_NEIGHBOURS(float, fp32)
SGAS_NEIGHBOURS(Half, fp16)
SGAS_NEIGHBOURS(BFloat16, bf16)
