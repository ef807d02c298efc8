// Runs kernels of CUDA on the processor: every thread of a block as a fiber of its own, in an order that changes from
// block to block and from barrier to barrier. What a kernel may use is what is here; the same source is compiled by
// NVRTC for a GPU.
//
// A kernel that depends on the order of its threads, reads shared memory of SGAS_SHARED that nobody wrote, or has threads
// that wait at different barriers, gives wrong numbers or ends the program. Other shared memory has what the last block
// left in it. Accesses beyond an array, and two threads that write to one place, it does not see.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#define __device__
#define __global__
#define __shared__ static
#define SGAS_SHARED(type, name) type* const name = static_cast<type*>(executor::shared_memory())
#define SGAS_UNROLL
#define SGAS_UNROLL_BY_4

struct uint2 {
  unsigned x, y;
};

struct uint4 {
  unsigned x, y, z, w;
};

namespace executor {

struct Dimension {
  unsigned x;
};

// Of the fiber that runs.
extern Dimension thread, block, threads, blocks;

// Of the block that runs, filled with 0xff when it begins.
void* shared_memory();

// Goes on where all threads of the block are at the same line.
void wait_for_block(int line);

// What the thread `distance` places away in the warp gave, in bits.
uint32_t exchange(uint32_t value, int distance, int line);

// Runs `body` once for every thread of every block; `waits` says whether threads may wait for one another, for which each
// needs a fiber.
void run(unsigned blocks, unsigned threads, size_t shared_bytes, bool waits, void (*body)(void*), void* argument);

template <class T>
T exchanged(T value, int distance, int line) {
  static_assert(sizeof(T) == sizeof(uint32_t), "numbers of 32 bits are exchanged");
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  bits = exchange(bits, distance, line);
  std::memcpy(&value, &bits, sizeof bits);
  return value;
}

}  // namespace executor

#define threadIdx (executor::thread)
#define blockIdx (executor::block)
#define blockDim (executor::threads)
#define gridDim (executor::blocks)
#define __syncthreads() executor::wait_for_block(__LINE__)
#define __shfl_xor_sync(mask, value, distance) executor::exchanged(value, distance, __LINE__)

// Fibers take turns at barriers alone, so these are whole by themselves.
inline unsigned atomicAdd(unsigned* place, unsigned value) {
  const unsigned before = *place;
  *place += value;
  return before;
}

inline void atomicMin(unsigned* place, unsigned value) {
  *place = std::min(*place, value);
}

inline void atomicMax(unsigned* place, unsigned value) {
  *place = std::max(*place, value);
}

inline unsigned __float_as_uint(float value) {
  unsigned bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

inline float __uint_as_float(unsigned bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}
