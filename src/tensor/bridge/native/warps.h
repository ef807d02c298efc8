// What threads work out together: warps of 32, each for a row, and whole blocks.

// Which row, and which of the warp's threads.
struct Warp {
  u32 row, lane;

  __device__ Warp() {
    row = (blockIdx.x * blockDim.x + threadIdx.x) / 32;
    lane = threadIdx.x % 32;
  }
};

__device__ inline float sum_of_warp(float value) {
  for (int distance = 16; distance > 0; distance /= 2) {
    value += __shfl_xor_sync(0xffffffffu, value, distance);
  }
  return value;
}

__device__ inline float greatest_of_warp(float value) {
  for (int distance = 16; distance > 0; distance /= 2) {
    const float other = __shfl_xor_sync(0xffffffffu, value, distance);
    value = other > value ? other : value;
  }
  return value;
}

// Of so many threads, a power of two, all of a block; `room` has a place for each.
template <class Number>
__device__ Number sum_of_block(Number value, Number* room, int threads) {
  room[threadIdx.x] = value;
  __syncthreads();
  for (int half = threads / 2; half > 0; half /= 2) {
    if (static_cast<int>(threadIdx.x) < half) {
      room[threadIdx.x] += room[threadIdx.x + half];
    }
    __syncthreads();
  }
  return room[0];
}
