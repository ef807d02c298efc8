// Aggregates and attention along the links of a graph, (N, C) → (N, C), and their gradients. Links stand sorted by target
// and once more by source (pairs.h). A node has exactly one link to itself in all but sum and maximum, whatever is stored.
// Sums are fp32, and in one order at every run; nothing of (links, channels) is stored.

// What a node is told of its sources j: Σ x_j, their mean, Σ x_j / sqrt(d_i d_j), max x_j - x_i; those whose place is null
// are not asked for. `root` (N) is 1 / sqrt(d), `which` the place of the greatest, the first of equal ones.
template <class T>
__device__ void link_aggregate(const T* x, const Links links, const float* root, T* sum, T* mean, T* normalised,
                               T* relative, u32* which, u32 numbers, u32 channels) {
  const u32 number = blockIdx.x * blockDim.x + threadIdx.x;
  if (number >= numbers) {
    return;
  }
  const u32 node = number / channels;
  const T* channel = x + (number - node * channels);
  const u32 first = links.begin(node), end = links.end(node);
  const float own = wide(x[number]), own_root = root[node];
  float of_all = 0, of_others = 0, weighed = 0, greatest = 0;
  u32 found = first;
  SGAS_UNROLL_BY_4
  for (u32 place = first; place < end; ++place) {
    const i64 source = links.row(place);
    const float value = wide(channel[source * channels]);
    of_all += value;
    if (source != node) {
      of_others += value;
      weighed += normalised != nullptr ? root[source] * value : 0.0f;
    }
    const bool is_better = place == first || value > greatest || (value != value && greatest == greatest);
    found = is_better ? place : found;
    greatest = is_better ? value : greatest;
  }
  if (sum != nullptr) {
    narrow(of_all, sum + number);
  }
  if (mean != nullptr) {
    narrow((of_others + own) * (own_root * own_root), mean + number);
  }
  if (normalised != nullptr) {
    narrow((weighed + own_root * own) * own_root, normalised + number);
  }
  if (relative != nullptr) {
    narrow(first == end ? 0.0f : greatest - own, relative + number);
    which[number] = found;
  }
}

// The gradient of x from those of the aggregates; null where one has none.
template <class T>
__device__ void link_aggregate_back(const T* sum, const T* mean, const T* normalised, const T* relative, const u32* which,
                                    const float* root, const int* incoming, const LinksBack links, T* out, u32 numbers,
                                    u32 channels) {
  const u32 number = blockIdx.x * blockDim.x + threadIdx.x;
  if (number >= numbers) {
    return;
  }
  const u32 node = number / channels, channel = number - node * channels;
  const float own_root = root[node];
  float total = 0;
  // What the node had of itself.
  total += mean != nullptr ? wide(mean[number]) * own_root * own_root : 0.0f;
  total += normalised != nullptr ? wide(normalised[number]) * own_root * own_root : 0.0f;
  total -= relative != nullptr && incoming[node] < incoming[node + 1] ? wide(relative[number]) : 0.0f;
  const i64 end = links.end(node);
  SGAS_UNROLL_BY_4
  for (i64 place = links.begin(node); place < end; ++place) {
    const u32 link = links.pair(place), target = links.point(link);
    const i64 from = static_cast<i64>(target) * channels + channel;
    total += sum != nullptr ? wide(sum[from]) : 0.0f;
    total += relative != nullptr && which[from] == links.mark(link) ? wide(relative[from]) : 0.0f;
    if (target != node && (mean != nullptr || normalised != nullptr)) {
      const float its_root = root[target];
      total += mean != nullptr ? wide(mean[from]) * its_root * its_root : 0.0f;
      total += normalised != nullptr ? wide(normalised[from]) * its_root * own_root : 0.0f;
    }
  }
  narrow(total, out + number);
}

__device__ inline float bent(float value, float slope) {
  return value > 0 ? value : slope * value;
}

// softmax over j of LeakyReLU(target_i + source_j): `weights` (E) of the links, 0 of those from a node to itself, and
// `own` (N) of the one link that every node has to itself. A warp does a node.
extern "C" __global__ void sgas_link_attention_weights(const float* target, const float* source, const int* incoming,
                                                       const int* sources, float* weights, float* own, u32 nodes,
                                                       float slope) {
  const Links links{incoming, sources};
  const Warp warp;
  if (warp.row >= nodes) {
    return;
  }
  const u32 first = links.begin(warp.row) + warp.lane, end = links.end(warp.row);
  const float of_target = target[warp.row], of_itself = bent(of_target + source[warp.row], slope);
  float greatest = of_itself;
  for (u32 place = first; place < end; place += 32) {
    const float score = bent(of_target + source[links.row(place)], slope);
    greatest = links.row(place) != warp.row && score > greatest ? score : greatest;
  }
  greatest = greatest_of_warp(greatest);
  float total = warp.lane == 0 ? exponential(of_itself - greatest) : 0.0f;
  for (u32 place = first; place < end; place += 32) {
    const float power = exponential(bent(of_target + source[links.row(place)], slope) - greatest);
    weights[place] = links.row(place) == warp.row ? 0.0f : power;
    total += weights[place];
  }
  total = sum_of_warp(total);
  for (u32 place = first; place < end; place += 32) {
    weights[place] /= total;
  }
  if (warp.lane == 0) {
    own[warp.row] = exponential(of_itself - greatest) / total;
  }
}

// Σ_j w_ij·x_j.
template <class T>
__device__ void link_weighted_sum(const T* x, const Links links, const float* weights, const float* own, T* out,
                                  u32 numbers, u32 channels) {
  const u32 number = blockIdx.x * blockDim.x + threadIdx.x;
  if (number >= numbers) {
    return;
  }
  const u32 node = number / channels;
  const T* channel = x + (number - node * channels);
  float sum = own[node] * wide(x[number]);
  SGAS_UNROLL_BY_4
  for (u32 place = links.begin(node); place < links.end(node); ++place) {
    sum += weights[place] * wide(channel[links.row(place) * channels]);
  }
  narrow(sum, out + number);
}

// Σ_i w_ij·grad_i over the links out of j.
template <class T>
__device__ void link_weighted_sum_back(const T* grad, const LinksBack links, const float* weights, const float* own, T* out,
                                       u32 numbers, u32 channels) {
  const u32 number = blockIdx.x * blockDim.x + threadIdx.x;
  if (number >= numbers) {
    return;
  }
  const u32 node = number / channels;
  const T* channel = grad + (number - node * channels);
  const i64 end = links.end(node);
  float sum = own[node] * wide(grad[number]);
  SGAS_UNROLL_BY_4
  for (i64 place = links.begin(node); place < end; ++place) {
    const u32 link = links.pair(place);
    sum += weights[links.mark(link)] * wide(channel[static_cast<i64>(links.point(link)) * channels]);
  }
  narrow(sum, out + number);
}

// The gradients of the scores of all links, `scores` (E) and of a node's own `own_scores` (N), and their sums into every
// node, which are the gradient of target_i. That of a weight is p_ij = <grad_i, x_j>; of a score,
// w_ij·(p_ij - Σ_j w_ij·p_ij), and bent. A warp does a node.
template <class T>
__device__ void link_scores_back(const T* grad, const T* x, const float* target, const float* source, const Links links,
                                 const float* weights, const float* own, float* scores, float* own_scores, float* out,
                                 u32 nodes, u32 channels, float slope) {
  const Warp warp;
  if (warp.row >= nodes) {
    return;
  }
  const T* of_node = grad + static_cast<i64>(warp.row) * channels;
  const auto product = [&](i64 row) {
    float sum = 0;
    for (u32 channel = 0; channel < channels; ++channel) {
      sum += wide(of_node[channel]) * wide(x[row * channels + channel]);
    }
    return sum;
  };
  const u32 first = links.begin(warp.row) + warp.lane, end = links.end(warp.row);
  const float of_target = target[warp.row];
  const float own_product = warp.lane == 0 ? product(warp.row) : 0.0f;
  float mean = own[warp.row] * own_product;
  for (u32 place = first; place < end; place += 32) {
    scores[place] = product(links.row(place));
    mean += weights[place] * scores[place];
  }
  mean = sum_of_warp(mean);
  const auto of_score = [&](float weight, float of_weight, i64 row) {
    return weight * (of_weight - mean) * (of_target + source[row] > 0 ? 1.0f : slope);
  };
  float sum = 0;
  if (warp.lane == 0) {
    sum = own_scores[warp.row] = of_score(own[warp.row], own_product, warp.row);
  }
  for (u32 place = first; place < end; place += 32) {
    scores[place] = of_score(weights[place], scores[place], links.row(place));
    sum += scores[place];
  }
  sum = sum_of_warp(sum);
  if (warp.lane == 0) {
    out[warp.row] = sum;
  }
}

// The gradient of source_j: the sum of those of the scores of the links out of it, and of its own.
extern "C" __global__ void sgas_link_scores_to_sources(const float* scores, const float* own_scores, const int* outgoing,
                                                       const int* positions, float* out, u32 nodes) {
  const LinksBack links{outgoing, nullptr, positions};
  const u32 node = blockIdx.x * blockDim.x + threadIdx.x;
  if (node >= nodes) {
    return;
  }
  float sum = own_scores[node];
  for (i64 place = links.begin(node); place < links.end(node); ++place) {
    sum += scores[links.mark(links.pair(place))];
  }
  out[node] = sum;
}

// The same for each type.
#define SGAS_LINKS(T, type)                                                                                              \
  extern "C" __global__ void sgas_link_aggregate_##type(                                                                 \
      const T* x, const int* incoming, const int* sources, const float* root, T* sum, T* mean, T* normalised,            \
      T* relative, u32* which, u32 numbers, u32 channels) {                                                              \
    link_aggregate(x, Links{incoming, sources}, root, sum, mean, normalised, relative, which, numbers, channels);        \
  }                                                                                                                      \
  extern "C" __global__ void sgas_link_aggregate_back_##type(                                                            \
      const T* sum, const T* mean, const T* normalised, const T* relative, const u32* which, const float* root,          \
      const int* incoming, const int* outgoing, const int* targets, const int* positions, T* out, u32 numbers,           \
      u32 channels) {                                                                                                    \
    link_aggregate_back(sum, mean, normalised, relative, which, root, incoming, LinksBack{outgoing, targets, positions}, \
                        out, numbers, channels);                                                                         \
  }                                                                                                                      \
  extern "C" __global__ void sgas_link_weighted_sum_##type(const T* x, const int* incoming, const int* sources,          \
                                                           const float* weights, const float* own, T* out, u32 numbers,  \
                                                           u32 channels) {                                               \
    link_weighted_sum(x, Links{incoming, sources}, weights, own, out, numbers, channels);                                \
  }                                                                                                                      \
  extern "C" __global__ void sgas_link_weighted_sum_back_##type(                                                         \
      const T* grad, const int* outgoing, const int* targets, const int* positions, const float* weights,                \
      const float* own, T* out, u32 numbers, u32 channels) {                                                             \
    link_weighted_sum_back(grad, LinksBack{outgoing, targets, positions}, weights, own, out, numbers, channels);         \
  }                                                                                                                      \
  extern "C" __global__ void sgas_link_scores_back_##type(                                                               \
      const T* grad, const T* x, const float* target, const float* source, const int* incoming, const int* sources,      \
      const float* weights, const float* own, float* scores, float* own_scores, float* out, u32 nodes, u32 channels,     \
      float slope) {                                                                                                     \
    link_scores_back(grad, x, target, source, Links{incoming, sources}, weights, own, scores, own_scores, out, nodes,    \
                     channels, slope);                                                                                   \
  }

SGAS_LINKS(float, fp32)
SGAS_LINKS(Half, fp16)
SGAS_LINKS(BFloat16, bf16)
