// What the kernels need beside CUDA's language; NVRTC reads it before them.
#define SGAS_SHARED(type, name) extern __shared__ type name[]
#define SGAS_UNROLL _Pragma("unroll")
#define SGAS_UNROLL_BY_4 _Pragma("unroll 4")

__device__ inline float half_to_float(unsigned short bits) {
  float value;
  asm("{ cvt.f32.f16 %0, %1; }" : "=f"(value) : "h"(bits));
  return value;
}

__device__ inline unsigned short float_to_half(float value) {
  unsigned short bits;
  asm("{ cvt.rn.f16.f32 %0, %1; }" : "=h"(bits) : "f"(value));
  return bits;
}

__device__ inline float exponential(float value) {
  return expf(value);
}

__device__ inline double square_root(double value) {
  return sqrt(value);
}

__device__ inline float square_root(float value) {
  return sqrtf(value);
}

__device__ inline double power(double base, double exponent) {
  return pow(base, exponent);
}
