// Kernels along neighbour graphs. They are compiled by NVRTC, without any header, and by a C++ compiler for the tests,
// which run them on the processor; what they may use is what tests/cuda/stand_in/executor.h offers.

typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;

// --- numbers --------------------------------------------------------------------------------------------------------

struct Half {
  u16 bits;
};

struct BFloat16 {
  u16 bits;
};

__device__ inline float wide(float value) {
  return value;
}

__device__ inline float wide(Half value) {
  return half_to_float(value.bits);
}

__device__ inline float wide(BFloat16 value) {
  return __uint_as_float(static_cast<u32>(value.bits) << 16);
}

__device__ inline void narrow(float value, float* to) {
  *to = value;
}

__device__ inline void narrow(float value, Half* to) {
  to->bits = float_to_half(value);
}

// To the nearest, halves to even; what is not a number stays none.
__device__ inline void narrow(float value, BFloat16* to) {
  const u32 bits = __float_as_uint(value);
  const bool is_number = (bits & 0x7fffffffu) <= 0x7f800000u;
  to->bits = static_cast<u16>(is_number ? (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16 : 0x7fc0u);
}

// --- gathers --------------------------------------------------------------------------------------------------------

// out[pair] = x[rows[pair]]; a row is `width` units.
template <class Unit>
__device__ void gather(const Unit* x, const i64* rows, Unit* out, u32 units, u32 width) {
  const u32 unit = blockIdx.x * blockDim.x + threadIdx.x;
  if (unit < units) {
    const u32 pair = unit / width;
    out[unit] = x[rows[pair] * width + (unit - pair * width)];
  }
}

extern "C" __global__ void sgas_gather_16(const uint4* x, const i64* rows, uint4* out, u32 units, u32 width) {
  gather(x, rows, out, units, width);
}

extern "C" __global__ void sgas_gather_8(const uint2* x, const i64* rows, uint2* out, u32 units, u32 width) {
  gather(x, rows, out, units, width);
}

extern "C" __global__ void sgas_gather_4(const u32* x, const i64* rows, u32* out, u32 units, u32 width) {
  gather(x, rows, out, units, width);
}

extern "C" __global__ void sgas_gather_2(const u16* x, const i64* rows, u16* out, u32 units, u32 width) {
  gather(x, rows, out, units, width);
}

// As in native_points.cpp: the rows whose pairs a block of `sgas_transpose` finds, and its threads.
constexpr int ROWS_OF_BLOCK = 128;
constexpr int TRANSPOSING = 256;
// Pairs that a thread looks at before all go on.
constexpr int PAIRS_OF_THREAD = 16;
constexpr int TILE = TRANSPOSING * PAIRS_OF_THREAD;

// The sum of the `value`s of all threads before this one, and of all in the last place of `sums`, which has one per
// thread.
__device__ inline u32 sum_before(u32 value, u32* sums) {
  const int thread = threadIdx.x;
  sums[thread] = value;
  __syncthreads();
  for (int distance = 1; distance < TRANSPOSING; distance *= 2) {
    const u32 other = thread >= distance ? sums[thread - distance] : 0;
    __syncthreads();
    sums[thread] += other;
    __syncthreads();
  }
  return sums[thread] - value;
}

// Of a list that names `k` rows for every row, each of the same cloud of `points` rows: the pairs that name a row, in
// their order, for one row after the other; and where those of each row begin, and the last end, in `first`. A cloud has
// `ranges` blocks, which read all of its pairs and take those that name their own rows.
extern "C" __global__ void sgas_transpose(
    const i64* rows, i64* pairs, i64* first, int clouds, int points, int k, int ranges) {
  __shared__ u32 counts[ROWS_OF_BLOCK];
  __shared__ u32 sums[TRANSPOSING];
  // Of the pairs of a tile that are taken: the row in the block, and the place in the tile.
  __shared__ u32 taken[TILE];
  __shared__ u32 before;
  const int thread = threadIdx.x;
  const int cloud = blockIdx.x / ranges;
  const u32 begin = (blockIdx.x - cloud * ranges) * ROWS_OF_BLOCK;
  const i64 first_row = static_cast<i64>(cloud) * points, first_pair = first_row * k;
  const int all = points * k;
  const i64* of_cloud = rows + first_pair;
  const bool has_row = thread < ROWS_OF_BLOCK;
  if (has_row) {
    counts[thread] = 0;
  }
  if (thread == 0) {
    before = 0;
  }
  __syncthreads();
  u32 lower = 0;
  for (int pair = thread; pair < all; pair += TRANSPOSING) {
    const u32 row = static_cast<u32>(of_cloud[pair] - first_row);
    if (row < begin) {
      ++lower;
    } else if (row < begin + ROWS_OF_BLOCK) {
      atomicAdd(&counts[row - begin], 1u);
    }
  }
  atomicAdd(&before, lower);
  __syncthreads();
  i64 place = first_pair + before + sum_before(has_row ? counts[thread] : 0, sums);
  if (has_row && begin + thread < static_cast<u32>(points)) {
    first[first_row + begin + thread] = place;
  }
  if (blockIdx.x == 0 && thread == 0) {
    first[static_cast<i64>(clouds) * points] = static_cast<i64>(clouds) * all;
  }

  for (int start = 0; start < all; start += TILE) {
    u32 own[PAIRS_OF_THREAD];
    u32 count = 0;
    SGAS_UNROLL
    for (int number = 0; number < PAIRS_OF_THREAD; ++number) {
      const int pair = start + thread * PAIRS_OF_THREAD + number;
      own[number] = pair < all ? static_cast<u32>(of_cloud[pair] - first_row) - begin : 0xffffffffu;
      count += own[number] < ROWS_OF_BLOCK ? 1 : 0;
    }
    __syncthreads();
    u32 next = sum_before(count, sums);
    SGAS_UNROLL
    for (int number = 0; number < PAIRS_OF_THREAD; ++number) {
      if (own[number] < ROWS_OF_BLOCK) {
        taken[next++] = (own[number] << 16) | static_cast<u32>(thread * PAIRS_OF_THREAD + number);
      }
    }
    __syncthreads();
    const u32 found = sums[TRANSPOSING - 1];
    for (u32 number = 0; has_row && number < found; ++number) {
      if ((taken[number] >> 16) == static_cast<u32>(thread)) {
        pairs[place++] = first_pair + start + (taken[number] & 0xffffu);
      }
    }
  }
}

// out[row] = the sum of `of_pairs` at those pairs that lead to the row: pairs[first[row]] to pairs[first[row + 1] - 1], in
// this order and in fp32.
template <class T>
__device__ void sum_pairs(
    const T* of_pairs, const i64* pairs, const i64* first, T* out, u32 numbers, u32 channels) {
  const u32 number = blockIdx.x * blockDim.x + threadIdx.x;
  if (number >= numbers) {
    return;
  }
  const u32 row = number / channels;
  const T* channel = of_pairs + (number - row * channels);
  const i64 end = first[row + 1];
  float sum = 0;
  SGAS_UNROLL_BY_4
  for (i64 place = first[row]; place < end; ++place) {
    sum += wide(channel[pairs[place] * channels]);
  }
  narrow(sum, out + number);
}

extern "C" __global__ void sgas_sum_pairs_fp32(
    const float* of_pairs, const i64* pairs, const i64* first, float* out, u32 numbers, u32 channels) {
  sum_pairs(of_pairs, pairs, first, out, numbers, channels);
}

extern "C" __global__ void sgas_sum_pairs_fp16(
    const Half* of_pairs, const i64* pairs, const i64* first, Half* out, u32 numbers, u32 channels) {
  sum_pairs(of_pairs, pairs, first, out, numbers, channels);
}

extern "C" __global__ void sgas_sum_pairs_bf16(
    const BFloat16* of_pairs, const i64* pairs, const i64* first, BFloat16* out, u32 numbers, u32 channels) {
  sum_pairs(of_pairs, pairs, first, out, numbers, channels);
}

// --- neighbours -----------------------------------------------------------------------------------------------------

// As in native_points.cpp.
constexpr int MOST_RANKS = 64;

struct Ranks {
  int count;
  int at[MOST_RANKS];
};

// A number whose order among others is that of the values; what is not a number comes last. 0 is left free.
__device__ inline u32 ordered(float value) {
  const u32 bits = __float_as_uint(value);
  const u32 key = (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
  return value == value ? (key == 0 ? 1u : key) : 0xffffffffu;
}

// How many threads' `count`s there are in all. `totals` are three zeros at first; `round` counts the calls.
__device__ inline u32 block_total(u32 count, u32* totals, int round) {
  for (int distance = 16; distance > 0; distance /= 2) {
    count += __shfl_xor_sync(0xffffffffu, count, distance);
  }
  if (threadIdx.x % 32 == 0) {
    atomicAdd(&totals[round % 3], count);
  }
  __syncthreads();
  // Read by all before this call, written by none before the one after the next.
  if (threadIdx.x == 0) {
    totals[(round + 2) % 3] = 0;
  }
  return totals[round % 3];
}

// The rows of the points of a cloud that are nearest to one of its points, at the wanted ranks: a block per point.
//
// A distance is squares[candidate] - 2 product[point, candidate]; the point itself comes first, and of equal ones the one
// with the lower number. `product` is (clouds, length, points), of the points from `start` on; `squares` (clouds, points);
// `out` (clouds, points, ranks). Shared memory holds `capacity` candidates, a power of two that is not less than the
// highest rank + 1, and a key per point.
extern "C" __global__ void sgas_nearest(const float* product, const float* squares, i64* out, int length, int start,
                                        int points, int wanted, int capacity, Ranks ranks) {
  SGAS_SHARED(u64, found);
  u32* const keys = reinterpret_cast<u32*>(found + capacity);
  __shared__ u32 totals[3];
  __shared__ u32 lowest, highest, filled;
  const int thread = threadIdx.x, threads = blockDim.x;
  const int cloud = blockIdx.x / length;
  const int own = start + (blockIdx.x - cloud * length);
  const float* of_point = product + static_cast<i64>(blockIdx.x) * points;
  const float* of_cloud = squares + static_cast<i64>(cloud) * points;
  if (thread == 0) {
    totals[0] = totals[1] = totals[2] = filled = highest = 0;
    lowest = 0xffffffffu;
  }
  __syncthreads();

  u32 least = 0xffffffffu, greatest = 0;
  for (int point = thread; point < points; point += threads) {
    const u32 key = point == own ? 0 : ordered(of_cloud[point] - 2 * of_point[point]);
    keys[point] = key;
    least = key < least && key > 0 ? key : least;
    greatest = key > greatest ? key : greatest;
  }
  for (int distance = 16; distance > 0; distance /= 2) {
    const u32 other_least = __shfl_xor_sync(0xffffffffu, least, distance);
    const u32 other_greatest = __shfl_xor_sync(0xffffffffu, greatest, distance);
    least = other_least < least ? other_least : least;
    greatest = other_greatest > greatest ? other_greatest : greatest;
  }
  if (thread % 32 == 0) {
    atomicMin(&lowest, least);
    atomicMax(&highest, greatest);
  }
  __syncthreads();

  // Between `below`, under which there are too few keys, and `enough`, up to which there are enough, until they fit.
  u32 below = lowest - 1, enough = wanted == 1 ? 0 : highest;
  u32 taken = wanted == 1 ? 1 : points;
  int round = 0;
  while (taken > static_cast<u32>(capacity) && enough - below > 1) {
    const u32 middle = below + (enough - below) / 2;
    u32 count = 0;
    for (int point = thread; point < points; point += threads) {
      count += keys[point] <= middle ? 1 : 0;
    }
    count = block_total(count, totals, round++);
    if (count >= static_cast<u32>(wanted)) {
      enough = middle;
      taken = count;
    } else {
      below = middle;
    }
  }
  // Equal keys do not fit: of those, the points below `last`.
  int last = points;
  if (taken > static_cast<u32>(capacity)) {
    int few = 0;
    while (last - few > 1 && taken > static_cast<u32>(capacity)) {
      const int middle = few + (last - few) / 2;
      u32 count = 0;
      for (int point = thread; point < points; point += threads) {
        count += keys[point] < enough || (keys[point] == enough && point < middle) ? 1 : 0;
      }
      count = block_total(count, totals, round++);
      if (count >= static_cast<u32>(wanted)) {
        last = middle;
        taken = count;
      } else {
        few = middle;
      }
    }
  }
  for (int point = thread; point < points; point += threads) {
    const u32 key = keys[point];
    if (key < enough || (key == enough && point < last)) {
      found[atomicAdd(&filled, 1u)] = (static_cast<u64>(key) << 32) | static_cast<u32>(point);
    }
  }
  for (int place = static_cast<int>(taken) + thread; place < capacity; place += threads) {
    found[place] = ~0ull;
  }
  __syncthreads();

  for (int size = 2; size <= capacity; size *= 2) {
    for (int stride = size / 2; stride > 0; stride /= 2) {
      for (int pair = thread; pair < capacity / 2; pair += threads) {
        const int first = 2 * pair - (pair & (stride - 1)), second = first + stride;
        const u64 one = found[first], other = found[second];
        if ((one > other) == ((first & size) == 0)) {
          found[first] = other;
          found[second] = one;
        }
      }
      __syncthreads();
    }
  }
  for (int rank = thread; rank < ranks.count; rank += threads) {
    const i64 place = (static_cast<i64>(cloud) * points + own) * ranks.count + rank;
    out[place] = static_cast<i64>(cloud) * points + static_cast<u32>(found[ranks.at[rank]]);
  }
}
