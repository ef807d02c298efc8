// Rows that a list names, and the list the other way round.

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
