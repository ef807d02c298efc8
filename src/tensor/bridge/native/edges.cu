// The tail of edge_conv: ReLU, batch norm over all pairs (point, neighbour), maximum over the neighbours; or over the links
// of a graph, where a node may have none: it gets 0. No pair is stored: forward keeps the selected activation of every point
// and channel, and the mark of its pair; backward computes the pairs again. Everything between is fp32. `own` and `other`
// (R, C) are the shares of the point and of the neighbour in the map; r_ij = ReLU(own_i + other_j).

__device__ inline float activation(float own, float other) {
  const float sum = own + other;
  // Not a number stays none.
  return sum < 0 ? 0 : sum;
}

// How a block's threads share channels and points: a thread sums one channel of every `lanes`-th point.
struct Share {
  int width, lanes, channel, lane;

  __device__ explicit Share(int channels, int threads) {
    width = channels < threads ? channels : threads;
    lanes = threads / width;
    lane = static_cast<int>(threadIdx.x) / width;
    channel = static_cast<int>(threadIdx.x) - lane * width;
  }

  __device__ bool works() const { return lane < lanes; }
};

// Adds what the lanes of a channel have; the first lane gets it. `room` has a place for every thread.
template <class Number>
__device__ inline Number sum_lanes(Number value, const Share& share, Number* room) {
  __syncthreads();
  room[threadIdx.x] = value;
  __syncthreads();
  Number sum = 0;
  if (share.lane == 0) {
    for (int lane = 0; lane < share.lanes; ++lane) {
      sum += room[lane * share.width + share.channel];
    }
  }
  return sum;
}

// The activation that the norm makes the greatest: the greatest where its scale is positive, the smallest where it is
// negative, else the first; and `sums` (blocks, 2, C) of the activations, and of their squares, each less `shift` (C), the
// first activation of the channel.
template <class T, class List>
__device__ void edge_select(const T* own, const T* other, const List list, const float* scale, float* selected,
                            typename List::Mark* which, float* sums, float* shift, int points, int channels) {
  __shared__ float room[SUMMING];
  const Share share(channels, SUMMING);
  const int begin = blockIdx.x * POINTS_OF_BLOCK;
  const int end = begin + POINTS_OF_BLOCK < points ? begin + POINTS_OF_BLOCK : points;
  for (int base = 0; base < channels; base += share.width) {
    const int channel = base + share.channel;
    const bool works = share.works() && channel < channels;
    float sum = 0, squares = 0, offset = 0;
    if (works) {
      offset = activation(wide(own[channel]), wide(other[list.row(0) * channels + channel]));
      const float direction = scale[channel] > 0 ? 1.0f : scale[channel] < 0 ? -1.0f : 0.0f;
      for (int point = begin + share.lane; point < end; point += share.lanes) {
        const i64 number = static_cast<i64>(point) * channels + channel;
        const float of_point = wide(own[number]);
        const u32 first = list.begin(point), last = list.end(point);
        float best = 0;
        u32 found = first;
        SGAS_UNROLL_BY_4
        for (u32 place = first; place < last; ++place) {
          const float value = activation(of_point, wide(other[list.row(place) * channels + channel]));
          sum += value - offset;
          squares += (value - offset) * (value - offset);
          const bool is_better = direction * value > direction * best || (value != value && best == best);
          found = place == first || is_better ? place : found;
          best = place == first || is_better ? value : best;
        }
        selected[number] = best;
        which[number] = list.mark(point, found);
      }
      if (blockIdx.x == 0 && share.lane == 0) {
        shift[channel] = offset;
      }
    }
    sum = sum_lanes(sum, share, room);
    squares = sum_lanes(squares, share, room);
    if (works && share.lane == 0) {
      float* of_block = sums + static_cast<i64>(blockIdx.x) * 2 * channels;
      of_block[channel] = sum;
      of_block[channels + channel] = squares;
    }
  }
}

// The sums of all blocks of a channel, in its first lane.
struct Totals {
  double first, second;
};

__device__ inline Totals totals(const float* sums, int blocks, int channel, int channels, const Share& share, bool works,
                                double* room) {
  double first = 0, second = 0;
  if (works) {
    for (int block = share.lane; block < blocks; block += share.lanes) {
      const float* of_block = sums + static_cast<i64>(block) * 2 * channels;
      first += of_block[channel];
      second += of_block[channels + channel];
    }
  }
  first = sum_lanes(first, share, room);
  second = sum_lanes(second, share, room);
  return {first, second};
}

// `statistics` (2, C), mean and 1 / deviation: in training those of the pairs, and the running ones move by `momentum`,
// the variance by the unbiased one; else the running ones.
extern "C" __global__ void sgas_edge_statistics(const float* sums, const float* shift, float* running_mean,
                                                float* running_var, float* statistics, int blocks, int channels,
                                                double pairs, int training, double momentum, double epsilon) {
  __shared__ double room[FINISHING];
  const Share share(channels, FINISHING);
  for (int base = 0; base < channels; base += share.width) {
    const int channel = base + share.channel;
    const bool works = share.works() && channel < channels;
    const Totals of_all = totals(sums, training != 0 ? blocks : 0, channel, channels, share, works, room);
    if (!works || share.lane != 0) {
      continue;
    }
    double mean = running_mean[channel], variance = running_var[channel];
    if (training != 0) {
      const double part = of_all.first / pairs;
      mean = part + shift[channel];
      variance = of_all.second / pairs - part * part;
      variance = variance < 0 ? 0 : variance;
      const double unbiased = pairs > 1 ? variance * pairs / (pairs - 1) : variance;
      running_mean[channel] = static_cast<float>((1 - momentum) * running_mean[channel] + momentum * mean);
      running_var[channel] = static_cast<float>((1 - momentum) * running_var[channel] + momentum * unbiased);
    }
    statistics[channel] = static_cast<float>(mean);
    statistics[channels + channel] = static_cast<float>(1 / square_root(variance + epsilon));
  }
}

// scale · (selected - mean) / deviation + offset.
template <class T, class List>
__device__ void edge_normalise(const float* selected, const float* statistics, const float* scale, const float* offset,
                               const List list, T* out, u32 numbers, u32 channels) {
  const u32 number = blockIdx.x * blockDim.x + threadIdx.x;
  if (number < numbers) {
    const u32 channel = number % channels;
    const float normed = (selected[number] - statistics[channel]) * statistics[channels + channel];
    narrow(list.is_empty(number / channels) ? 0.0f : normed * scale[channel] + offset[channel], out + number);
  }
}

// `sums` (blocks, 2, C) of the gradient, and of the gradient times what was selected.
template <class T, class List>
__device__ void edge_gradient_sums(
    const T* grad, const float* selected, const List list, float* sums, int points, int channels) {
  __shared__ float room[SUMMING];
  const Share share(channels, SUMMING);
  const int begin = blockIdx.x * POINTS_OF_BLOCK;
  const int end = begin + POINTS_OF_BLOCK < points ? begin + POINTS_OF_BLOCK : points;
  for (int base = 0; base < channels; base += share.width) {
    const int channel = base + share.channel;
    const bool works = share.works() && channel < channels;
    float sum = 0, products = 0;
    for (int point = begin + share.lane; works && point < end; point += share.lanes) {
      const i64 number = static_cast<i64>(point) * channels + channel;
      const float value = list.is_empty(point) ? 0.0f : wide(grad[number]);
      sum += value;
      products += value * selected[number];
    }
    sum = sum_lanes(sum, share, room);
    products = sum_lanes(products, share, room);
    if (works && share.lane == 0) {
      float* of_block = sums + static_cast<i64>(blockIdx.x) * 2 * channels;
      of_block[channel] = sum;
      of_block[channels + channel] = products;
    }
  }
}

// The gradients of scale and offset, (C) each; and `terms` (3, C) of which the gradient of a pair is made: factor,
// constant and slope.
extern "C" __global__ void sgas_edge_terms(const float* sums, const float* statistics, const float* scale,
                                           float* grad_scale, float* grad_offset, float* terms, int blocks, int channels,
                                           double pairs, int training) {
  __shared__ double room[FINISHING];
  const Share share(channels, FINISHING);
  for (int base = 0; base < channels; base += share.width) {
    const int channel = base + share.channel;
    const bool works = share.works() && channel < channels;
    const Totals of_all = totals(sums, blocks, channel, channels, share, works, room);
    if (!works || share.lane != 0) {
      continue;
    }
    const double mean = statistics[channel], reciprocal = statistics[channels + channel];
    const double along = (of_all.second - mean * of_all.first) * reciprocal;
    const double factor = scale[channel] * reciprocal;
    const double slope = training != 0 ? factor * reciprocal * along / pairs : 0;
    const double constant = training != 0 ? factor * of_all.first / pairs - slope * mean : 0;
    grad_scale[channel] = static_cast<float>(along);
    grad_offset[channel] = static_cast<float>(of_all.first);
    terms[channel] = static_cast<float>(factor);
    terms[channels + channel] = static_cast<float>(constant);
    terms[2 * channels + channel] = static_cast<float>(slope);
  }
}

// The gradient of the share of the point: of its pairs with r > 0, factor · grad of the selected one, less constant, less
// slope · r of each.
template <class T, class List>
__device__ void edge_own_back(const T* grad, const T* own, const T* other, const List list,
                              const typename List::Mark* which, const float* terms, T* out, u32 numbers, u32 channels) {
  const u32 number = blockIdx.x * blockDim.x + threadIdx.x;
  if (number >= numbers) {
    return;
  }
  const u32 point = number / channels, channel = number - point * channels;
  const float of_point = wide(own[number]), of_selected = terms[channel] * wide(grad[number]);
  const float constant = terms[channels + channel], slope = terms[2 * channels + channel];
  const u32 selected = which[number];
  float sum = 0;
  SGAS_UNROLL_BY_4
  for (u32 place = list.begin(point); place < list.end(point); ++place) {
    const float value = of_point + wide(other[list.row(place) * channels + channel]);
    const float pair = (list.mark(point, place) == selected ? of_selected : 0.0f) - constant - slope * value;
    sum += value > 0 ? pair : 0.0f;
  }
  narrow(sum, out + number);
}

// That of the share of the neighbour, over the pairs that name it.
template <class T, class Mark, class List>
__device__ void edge_other_back(const T* grad, const T* own, const T* other, const Mark* which, const float* terms,
                                const List list, T* out, u32 numbers, u32 channels) {
  const u32 number = blockIdx.x * blockDim.x + threadIdx.x;
  if (number >= numbers) {
    return;
  }
  const u32 row = number / channels, channel = number - row * channels;
  const float of_row = wide(other[number]);
  const float factor = terms[channel], constant = terms[channels + channel], slope = terms[2 * channels + channel];
  const i64 end = list.end(row);
  float sum = 0;
  SGAS_UNROLL_BY_4
  for (i64 place = list.begin(row); place < end; ++place) {
    const u32 pair = list.pair(place);
    const i64 from = static_cast<i64>(list.point(pair)) * channels + channel;
    const float value = wide(own[from]) + of_row;
    const float of_selected = which[from] == list.mark(pair) ? factor * wide(grad[from]) : 0.0f;
    sum += value > 0 ? of_selected - constant - slope * value : 0.0f;
  }
  narrow(sum, out + number);
}

// The same for each type, over neighbours and over links.
#define SGAS_EDGES(T, type)                                                                                              \
  extern "C" __global__ void sgas_edge_select_##type(const T* own, const T* other, const i64* rows, u32 k,               \
                                                     const float* scale, float* selected, u8* which, float* sums,        \
                                                     float* shift, int points, int channels) {                           \
    edge_select(own, other, Neighbours{rows, k}, scale, selected, which, sums, shift, points, channels);                 \
  }                                                                                                                      \
  extern "C" __global__ void sgas_edge_normalise_##type(const float* selected, const float* statistics,                  \
                                                        const float* scale, const float* offset, T* out, u32 numbers,    \
                                                        u32 channels) {                                                  \
    edge_normalise(selected, statistics, scale, offset, Neighbours{}, out, numbers, channels);                           \
  }                                                                                                                      \
  extern "C" __global__ void sgas_edge_gradient_sums_##type(const T* grad, const float* selected, float* sums,           \
                                                            int points, int channels) {                                  \
    edge_gradient_sums(grad, selected, Neighbours{}, sums, points, channels);                                            \
  }                                                                                                                      \
  extern "C" __global__ void sgas_edge_own_back_##type(const T* grad, const T* own, const T* other, const i64* rows,     \
                                                       u32 k, const u8* which, const float* terms, T* out,               \
                                                       u32 numbers, u32 channels) {                                      \
    edge_own_back(grad, own, other, Neighbours{rows, k}, which, terms, out, numbers, channels);                          \
  }                                                                                                                      \
  extern "C" __global__ void sgas_edge_other_back_##type(                                                                \
      const T* grad, const T* own, const T* other, const u8* which, const float* terms, const i64* pairs,                \
      const i64* first, u32 k, T* out, u32 numbers, u32 channels) {                                                      \
    edge_other_back(grad, own, other, which, terms, NeighboursBack{pairs, first, k}, out, numbers, channels);            \
  }                                                                                                                      \
  extern "C" __global__ void sgas_link_edge_select_##type(                                                               \
      const T* own, const T* other, const int* incoming, const int* sources, const float* scale, float* selected,        \
      u32* which, float* sums, float* shift, int points, int channels) {                                                 \
    edge_select(own, other, Links{incoming, sources}, scale, selected, which, sums, shift, points, channels);            \
  }                                                                                                                      \
  extern "C" __global__ void sgas_link_edge_normalise_##type(                                                            \
      const float* selected, const float* statistics, const float* scale, const float* offset, const int* incoming,      \
      T* out, u32 numbers, u32 channels) {                                                                               \
    edge_normalise(selected, statistics, scale, offset, Links{incoming, nullptr}, out, numbers, channels);               \
  }                                                                                                                      \
  extern "C" __global__ void sgas_link_edge_gradient_sums_##type(                                                        \
      const T* grad, const float* selected, const int* incoming, float* sums, int points, int channels) {                \
    edge_gradient_sums(grad, selected, Links{incoming, nullptr}, sums, points, channels);                                \
  }                                                                                                                      \
  extern "C" __global__ void sgas_link_edge_own_back_##type(                                                             \
      const T* grad, const T* own, const T* other, const int* incoming, const int* sources, const u32* which,            \
      const float* terms, T* out, u32 numbers, u32 channels) {                                                           \
    edge_own_back(grad, own, other, Links{incoming, sources}, which, terms, out, numbers, channels);                     \
  }                                                                                                                      \
  extern "C" __global__ void sgas_link_edge_other_back_##type(                                                           \
      const T* grad, const T* own, const T* other, const u32* which, const float* terms, const int* outgoing,            \
      const int* targets, const int* positions, T* out, u32 numbers, u32 channels) {                                     \
    edge_other_back(grad, own, other, which, terms, LinksBack{outgoing, targets, positions}, out, numbers, channels);    \
  }

SGAS_EDGES(float, fp32)
SGAS_EDGES(Half, fp16)
SGAS_EDGES(BFloat16, bf16)
