// Rows (R, C) brought to length 1, and sums of rows.

// y = act(x) / max(|act(x)|, smallest), act being a ReLU where the slope is 0; `lengths` (R) is |act(x)|. A warp does a row.
template <class T>
__device__ void unit_length(const T* x, T* out, float* lengths, u32 rows, u32 channels, float slope, float smallest) {
  const Warp warp;
  if (warp.row >= rows) {
    return;
  }
  const i64 first = static_cast<i64>(warp.row) * channels;
  float squares = 0;
  for (u32 channel = warp.lane; channel < channels; channel += 32) {
    const float value = seen(x[first + channel], slope);
    squares += value * value;
  }
  const float length = square_root(sum_of_warp(squares));
  // Not a number stays one, because a comparison with it is false.
  const float divisor = length < smallest ? smallest : length;
  for (u32 channel = warp.lane; channel < channels; channel += 32) {
    narrow(seen(x[first + channel], slope) / divisor, out + first + channel);
  }
  if (warp.lane == 0) {
    lengths[warp.row] = length;
  }
}

// (dy - y·<y, dy>) / length, and 0 where a ReLU gave 0; a length that was too small is a constant, and the product is left
// out.
template <class T>
__device__ void unit_length_back(const T* grad, const T* x, const float* lengths, T* out, u32 rows, u32 channels,
                                 float slope, float smallest) {
  const Warp warp;
  if (warp.row >= rows) {
    return;
  }
  const i64 first = static_cast<i64>(warp.row) * channels;
  const float length = lengths[warp.row], divisor = length < smallest ? smallest : length;
  float along = 0;
  for (u32 channel = warp.lane; channel < channels; channel += 32) {
    along += seen(x[first + channel], slope) / divisor * wide(grad[first + channel]);
  }
  along = length <= smallest ? 0 : sum_of_warp(along);
  for (u32 channel = warp.lane; channel < channels; channel += 32) {
    const float value = wide(x[first + channel]);
    const float of_seen = (wide(grad[first + channel]) - seen(x[first + channel], slope) / divisor * along) / divisor;
    narrow(value > 0 || slope == 1 ? of_seen : slope * of_seen, out + first + channel);
  }
}

template <class T>
__device__ void add_up(const Addends& addends, T* out, u32 numbers, u32 channels) {
  const u32 number = blockIdx.x * blockDim.x + threadIdx.x;
  if (number >= numbers) {
    return;
  }
  const u32 row = number / channels, channel = number - row * channels;
  float sum = 0;
  SGAS_UNROLL_BY_4
  for (u32 addend = 0; addend < addends.count; ++addend) {
    sum += wide(static_cast<const T*>(addends.at[addend])[static_cast<i64>(row) * addends.stride[addend] + channel]);
  }
  narrow(sum, out + number);
}

// The same for each type.
#define SGAS_ROWS(T, type)                                                                                               \
  extern "C" __global__ void sgas_unit_length_##type(const T* x, T* out, float* lengths, u32 rows, u32 channels,         \
                                                     float slope, float smallest) {                                      \
    unit_length(x, out, lengths, rows, channels, slope, smallest);                                                       \
  }                                                                                                                      \
  extern "C" __global__ void sgas_unit_length_back_##type(const T* grad, const T* x, const float* lengths, T* out,       \
                                                          u32 rows, u32 channels, float slope, float smallest) {         \
    unit_length_back(grad, x, lengths, out, rows, channels, slope, smallest);                                            \
  }                                                                                                                      \
  extern "C" __global__ void sgas_add_up_##type(Addends addends, T* out, u32 numbers, u32 channels) {                    \
    add_up(addends, out, numbers, channels);                                                                             \
  }

SGAS_ROWS(float, fp32)
SGAS_ROWS(Half, fp16)
SGAS_ROWS(BFloat16, bf16)
