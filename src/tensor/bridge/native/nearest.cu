// The nearest points of a cloud.

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
