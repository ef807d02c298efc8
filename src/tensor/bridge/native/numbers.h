// Types, and numbers in them. The kernels of this folder are compiled by NVRTC, without any header of CUDA's, and by a C++
// compiler for the tests, which run them on the processor; what they may use beside CUDA's language is what device.h and
// tests/cuda/stand_in/executor.h both offer.
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

// A number behind a (leaky) ReLU, which multiplies what lies below zero by `slope`; 1 leaves all as it is.
template <class T>
__device__ float seen(T number, float slope) {
  const float value = wide(number);
  return value <= 0 && slope != 1 ? (slope == 0 ? 0 : slope * value) : value;
}
