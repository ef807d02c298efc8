// Warps of 32 threads, each of which works for a row.

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
