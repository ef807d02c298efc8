// The sum that a node of a supernet is: Σ_k w_k·norm_k(act_k(x_k)) over the parts on all its edges, of which some have no
// norm, and some nothing before it. No output of a norm or of what stands before it is stored. A part's numbers lie as (outer, C, inner): rows and images with their channels last have an
// inner size of 1, other images that of a picture. Sums over a channel are made in chunks, always in the same order.

__device__ inline u32 numbers_of_channel(const MixedSizes& sizes) {
  return sizes.outer * sizes.inner;
}

// Where a channel's number lies.
__device__ inline u32 place_of(const MixedSizes& sizes, u32 number, u32 channel) {
  // Without divisions where there are none to make.
  return sizes.inner == 1 ? number * sizes.channels + channel
                          : (number / sizes.inner * sizes.channels + channel) * sizes.inner + number % sizes.inner;
}

__device__ inline float weight_of(const float* table, const MixedParts& parts, u32 part) {
  return parts.place[part] < 0 ? 1.0f : table[parts.place[part]];
}

// A block's share of the sums: one chunk of some channels of one part, the numbers `begin` to `end` of each channel; and
// the thread's: every `lanes.lanes`-th of them of one channel, if it works. Where channels lie side by side, so do the
// threads of different channels; else all threads share one.
struct MixedShare {
  u32 part, chunk, channel, begin, end;
  Share lanes;
  bool works;

  __device__ explicit MixedShare(const MixedSizes& sizes)
      : lanes(sizes.inner == 1 ? static_cast<int>(sizes.channels) : 1, MIXING) {
    const u32 groups = (sizes.channels + lanes.width - 1) / lanes.width;
    u32 block = blockIdx.x;
    channel = block % groups * lanes.width + lanes.channel;
    block /= groups;
    chunk = block % sizes.chunks;
    part = block / sizes.chunks;
    begin = chunk * NUMBERS_OF_CHUNK;
    end = begin + NUMBERS_OF_CHUNK < numbers_of_channel(sizes) ? begin + NUMBERS_OF_CHUNK : numbers_of_channel(sizes);
    works = lanes.works() && channel < sizes.channels;
  }

  // Adds up two sums of all lanes, and keeps them as the chunk's; `room` has two places for every thread.
  __device__ void keep(float first, float second, const MixedSizes& sizes, float* room, float* sums) const {
    room[threadIdx.x] = first;
    room[MIXING + threadIdx.x] = second;
    __syncthreads();
    if (works && lanes.lane == 0) {
      float of_first = 0, of_second = 0;
      for (int lane = 0; lane < lanes.lanes; ++lane) {
        of_first += room[lane * lanes.width + lanes.channel];
        of_second += room[MIXING + lane * lanes.width + lanes.channel];
      }
      float* of_chunk = sums + (static_cast<i64>(part) * sizes.chunks + chunk) * 2 * sizes.channels;
      of_chunk[channel] = of_first;
      of_chunk[sizes.channels + channel] = of_second;
    }
  }
};

// `sums` (parts, chunks, 2, C): of what the norm sees less the first of the channel, and of its square; of parts with norms.
template <class T>
__device__ void mixed_moments(const MixedParts& parts, const MixedNorms& norms, const MixedSizes& sizes, float* sums) {
  __shared__ float room[2 * MIXING];
  const MixedShare share(sizes);
  if (norms.mean[share.part] == nullptr) {
    return;
  }
  const T* x = static_cast<const T*>(parts.at[share.part]);
  const float slope = parts.slope[share.part];
  const u32 channel = share.channel;
  float sum = 0, squares = 0;
  if (share.works) {
    const float first = seen(x[place_of(sizes, 0, channel)], slope);
    for (u32 number = share.begin + share.lanes.lane; number < share.end; number += share.lanes.lanes) {
      const float value = seen(x[place_of(sizes, number, channel)], slope) - first;
      sum += value;
      squares += value * value;
    }
  }
  share.keep(sum, squares, sizes, room, sums);
}

// `statistics` (parts, 4, C), mean, 1 / deviation, scale and shift: in training mean and deviation are those of the numbers,
// and the running ones move by `momentum`, the variance by the unbiased one; else the running ones; 0, 1, 1, 0 without a
// norm.
template <class T>
__device__ void mixed_statistics(const MixedParts& parts, const MixedNorms& norms, const MixedAffine& affine,
                                 const MixedSizes& sizes, const float* sums, float* statistics, int training,
                                 double momentum, double epsilon) {
  const u32 number = blockIdx.x * blockDim.x + threadIdx.x;
  if (number >= sizes.parts * sizes.channels) {
    return;
  }
  const u32 part = number / sizes.channels, channel = number - part * sizes.channels;
  float* of_part = statistics + static_cast<i64>(part) * 4 * sizes.channels;
  of_part[2 * sizes.channels + channel] = affine.scale[part] == nullptr ? 1 : affine.scale[part][channel];
  of_part[3 * sizes.channels + channel] = affine.shift[part] == nullptr ? 0 : affine.shift[part][channel];
  if (norms.mean[part] == nullptr) {
    of_part[channel] = 0;
    of_part[sizes.channels + channel] = 1;
    return;
  }
  float &running_mean = norms.mean[part][channel], &running_variance = norms.variance[part][channel];
  double mean = running_mean, variance = running_variance;
  if (training != 0) {
    double sum = 0, squares = 0;
    for (u32 chunk = 0; chunk < sizes.chunks; ++chunk) {
      const float* of_chunk = sums + (static_cast<i64>(part) * sizes.chunks + chunk) * 2 * sizes.channels;
      sum += of_chunk[channel];
      squares += of_chunk[sizes.channels + channel];
    }
    const double count = numbers_of_channel(sizes), shift = sum / count;
    mean = shift + seen(static_cast<const T*>(parts.at[part])[place_of(sizes, 0, channel)], parts.slope[part]);
    variance = squares / count - shift * shift;
    variance = variance < 0 ? 0 : variance;
    const double unbiased = count > 1 ? variance * count / (count - 1) : variance;
    running_mean = static_cast<float>((1 - momentum) * running_mean + momentum * mean);
    running_variance = static_cast<float>((1 - momentum) * running_variance + momentum * unbiased);
  }
  of_part[channel] = static_cast<float>(mean);
  of_part[sizes.channels + channel] = static_cast<float>(1 / square_root(variance + epsilon));
}

template <class T>
__device__ void mixed_sum(const MixedParts& parts, const MixedSizes& sizes, const float* table, const float* statistics,
                          T* out, u32 numbers) {
  const u32 number = blockIdx.x * blockDim.x + threadIdx.x;
  if (number >= numbers) {
    return;
  }
  const u32 channel = number / sizes.inner % sizes.channels;
  float sum = 0;
  SGAS_UNROLL_BY_4
  for (u32 part = 0; part < sizes.parts; ++part) {
    const float* of_part = statistics + part * 4 * sizes.channels + channel;
    const float value = seen(static_cast<const T*>(parts.at[part])[number], parts.slope[part]);
    const float normed = (value - of_part[0]) * of_part[sizes.channels];
    sum += weight_of(table, parts, part) * (normed * of_part[2 * sizes.channels] + of_part[3 * sizes.channels]);
  }
  narrow(sum, out + number);
}

// `sums` (parts, chunks, 2, C): of the gradient, and of the gradient times what was scaled.
template <class T>
__device__ void mixed_gradient_sums(const T* grad, const MixedParts& parts, const MixedSizes& sizes,
                                    const float* statistics, float* sums) {
  __shared__ float room[2 * MIXING];
  const MixedShare share(sizes);
  const T* x = static_cast<const T*>(parts.at[share.part]);
  const float slope = parts.slope[share.part];
  const u32 channel = share.channel;
  float sum = 0, products = 0;
  if (share.works) {
    const float* of_part = statistics + share.part * 4 * sizes.channels + channel;
    const float mean = of_part[0], reciprocal = of_part[sizes.channels];
    for (u32 number = share.begin + share.lanes.lane; number < share.end; number += share.lanes.lanes) {
      const u32 place = place_of(sizes, number, channel);
      const float value = wide(grad[place]);
      sum += value;
      products += value * ((seen(x[place], slope) - mean) * reciprocal);
    }
  }
  share.keep(sum, products, sizes, room, sums);
}

// `terms` (parts, 3, C) of which gradients are made: factor, constant and slope; the gradients of scales and shifts; and that
// of every weight, a block each, into its place of `of_table`, whose other places are 0.
__device__ inline void mixed_terms_of_part(const MixedParts& parts, const MixedNorms& norms,
                                           const MixedAffineGradients& affine, const MixedSizes& sizes, const float* sums,
                                           const float* statistics, const float* table, float* terms, float* of_table,
                                           int training, double* room) {
  const u32 part = blockIdx.x;
  const float* of_part = statistics + static_cast<i64>(part) * 4 * sizes.channels;
  float* to = terms + static_cast<i64>(part) * 3 * sizes.channels;
  const double weight = weight_of(table, parts, part), count = numbers_of_channel(sizes);
  double of_weight = 0;
  for (u32 channel = threadIdx.x; channel < sizes.channels; channel += MIXING) {
    double sum = 0, products = 0;
    for (u32 chunk = 0; chunk < sizes.chunks; ++chunk) {
      const float* of_chunk = sums + (static_cast<i64>(part) * sizes.chunks + chunk) * 2 * sizes.channels;
      sum += of_chunk[channel];
      products += of_chunk[sizes.channels + channel];
    }
    const double mean = of_part[channel], reciprocal = of_part[sizes.channels + channel];
    const double scale = of_part[2 * sizes.channels + channel], shift = of_part[3 * sizes.channels + channel];
    of_weight += scale * products + shift * sum;
    if (affine.scale[part] != nullptr) {
      affine.scale[part][channel] = static_cast<float>(weight * products);
    }
    if (affine.shift[part] != nullptr) {
      affine.shift[part][channel] = static_cast<float>(weight * sum);
    }
    const double factor = weight * scale * reciprocal;
    const bool moves = training != 0 && norms.mean[part] != nullptr;
    const double slope = moves ? factor * reciprocal * products / count : 0;
    to[channel] = static_cast<float>(factor);
    to[sizes.channels + channel] = static_cast<float>(moves ? factor * sum / count - slope * mean : 0);
    to[2 * sizes.channels + channel] = static_cast<float>(slope);
  }
  of_weight = sum_of_block(of_weight, room, MIXING);
  if (threadIdx.x == 0 && of_table != nullptr && parts.place[part] >= 0) {
    of_table[parts.place[part]] = static_cast<float>(of_weight);
  }
}

extern "C" __global__ void sgas_mixed_terms(MixedParts parts, MixedNorms norms, MixedAffineGradients affine,
                                            MixedSizes sizes, const float* sums, const float* statistics,
                                            const float* table, float* terms, float* of_table, int training) {
  __shared__ double room[MIXING];
  mixed_terms_of_part(parts, norms, affine, sizes, sums, statistics, table, terms, of_table, training, room);
}

// factor · grad - constant - slope · what the norm sees, of every part, and of that the share of what lies below zero.
template <class T>
__device__ void mixed_back(const T* grad, const MixedParts& parts, const MixedGradients& gradients,
                           const MixedSizes& sizes, const float* terms, u32 numbers) {
  const u32 number = blockIdx.x * blockDim.x + threadIdx.x;
  if (number >= numbers) {
    return;
  }
  const u32 channel = number / sizes.inner % sizes.channels;
  const float value = wide(grad[number]);
  SGAS_UNROLL_BY_4
  for (u32 part = 0; part < sizes.parts; ++part) {
    if (gradients.to[part] != nullptr) {
      const float* of_part = terms + part * 3 * sizes.channels + channel;
      const T x = static_cast<const T*>(parts.at[part])[number];
      const float below = parts.slope[part];
      const float of_seen =
          of_part[0] * value - of_part[sizes.channels] - of_part[2 * sizes.channels] * seen(x, below);
      narrow(wide(x) > 0 ? of_seen : below * of_seen, static_cast<T*>(gradients.to[part]) + number);
    }
  }
}

// The same for each type.
#define SGAS_MIXTURE(T, type)                                                                                            \
  extern "C" __global__ void sgas_mixed_moments_##type(MixedParts parts, MixedNorms norms, MixedSizes sizes,             \
                                                       float* sums) {                                                    \
    mixed_moments<T>(parts, norms, sizes, sums);                                                                         \
  }                                                                                                                      \
  extern "C" __global__ void sgas_mixed_statistics_##type(MixedParts parts, MixedNorms norms, MixedAffine affine,        \
                                                          MixedSizes sizes, const float* sums, float* statistics,        \
                                                          int training, double momentum, double epsilon) {               \
    mixed_statistics<T>(parts, norms, affine, sizes, sums, statistics, training, momentum, epsilon);                     \
  }                                                                                                                      \
  extern "C" __global__ void sgas_mixed_sum_##type(MixedParts parts, MixedSizes sizes, const float* table,               \
                                                   const float* statistics, T* out, u32 numbers) {                       \
    mixed_sum(parts, sizes, table, statistics, out, numbers);                                                            \
  }                                                                                                                      \
  extern "C" __global__ void sgas_mixed_gradient_sums_##type(const T* grad, MixedParts parts, MixedSizes sizes,          \
                                                             const float* statistics, float* sums) {                     \
    mixed_gradient_sums(grad, parts, sizes, statistics, sums);                                                           \
  }                                                                                                                      \
  extern "C" __global__ void sgas_mixed_back_##type(const T* grad, MixedParts parts, MixedGradients gradients,           \
                                                    MixedSizes sizes, const float* terms, u32 numbers) {                 \
    mixed_back(grad, parts, gradients, sizes, terms, numbers);                                                           \
  }

SGAS_MIXTURE(float, fp32)
SGAS_MIXTURE(Half, fp16)
SGAS_MIXTURE(BFloat16, bf16)
