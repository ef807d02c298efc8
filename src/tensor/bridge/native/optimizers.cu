// Steps of the optimizers on flat fp32 tensors, one launch each, and the norm of a flat gradient. A step whose flag is not 0
// moves nothing.

// `sums` (blocks) of squares.
extern "C" __global__ void sgas_gradient_squares(const float* gradient, float* sums, u32 numbers) {
  __shared__ float room[MEASURING];
  const u32 begin = blockIdx.x * NUMBERS_OF_BLOCK;
  const u32 end = begin + NUMBERS_OF_BLOCK < numbers ? begin + NUMBERS_OF_BLOCK : numbers;
  float squares = 0;
  for (u32 number = begin + threadIdx.x; number < end; number += MEASURING) {
    squares += gradient[number] * gradient[number];
  }
  squares = sum_of_block(squares, room, MEASURING);
  if (threadIdx.x == 0) {
    sums[blockIdx.x] = squares;
  }
}

// `measured` (2): the norm, and what clips it to `greatest` at most, 1 where that is 0. One block.
extern "C" __global__ void sgas_gradient_norm(const float* sums, float* measured, u32 blocks, double greatest) {
  __shared__ float room[MEASURING];
  float squares = 0;
  for (u32 block = threadIdx.x; block < blocks; block += MEASURING) {
    squares += sums[block];
  }
  squares = sum_of_block(squares, room, MEASURING);
  if (threadIdx.x == 0) {
    const double norm = square_root(static_cast<double>(squares));
    const double factor = greatest / (norm + 1e-6);
    measured[0] = static_cast<float>(norm);
    // Of what is not a number nothing is left either way.
    measured[1] = greatest > 0 && factor < 1 ? static_cast<float>(factor) : 1.0f;
  }
}

extern "C" __global__ void sgas_scale(float* numbers_at, const float* factor, u32 numbers) {
  const u32 number = blockIdx.x * blockDim.x + threadIdx.x;
  if (number < numbers && *factor != 1) {
    numbers_at[number] *= *factor;
  }
}

extern "C" __global__ void sgas_sgd(float* weights, float* momentum, const float* gradient, const float* skip, u32 numbers,
                                    float rate, float kept, float decay) {
  const u32 number = blockIdx.x * blockDim.x + threadIdx.x;
  if (number >= numbers || (skip != nullptr && *skip != 0)) {
    return;
  }
  const float moved = kept * momentum[number] + (gradient[number] + decay * weights[number]);
  momentum[number] = moved;
  weights[number] -= rate * moved;
}

// `corrections` (2): 1 - beta^t of both betas, t being `steps` less those that were skipped. One thread.
extern "C" __global__ void sgas_adam_corrections(const double* skipped, float* corrections, double steps, double beta1,
                                                 double beta2) {
  const double counted = steps - *skipped < 1 ? 1 : steps - *skipped;
  corrections[0] = static_cast<float>(1 - power(beta1, counted));
  corrections[1] = static_cast<float>(1 - power(beta2, counted));
}

// Where `corrections` are given, they stand in place of those among the numbers.
extern "C" __global__ void sgas_adam(float* weights, float* mean, float* square, const float* gradient, const float* skip,
                                     const float* corrections, AdamNumbers adam, u32 numbers) {
  const u32 number = blockIdx.x * blockDim.x + threadIdx.x;
  if (number >= numbers || (skip != nullptr && *skip != 0)) {
    return;
  }
  const float correction1 = corrections != nullptr ? corrections[0] : adam.correction1;
  const float correction2 = corrections != nullptr ? corrections[1] : adam.correction2;
  const float value = gradient[number] + adam.decay * weights[number];
  const float first = adam.beta1 * mean[number] + (1 - adam.beta1) * value;
  const float second = adam.beta2 * square[number] + (1 - adam.beta2) * (value * value);
  mean[number] = first;
  square[number] = second;
  const float denominator = square_root(second / correction2) + adam.epsilon;
  weights[number] -= first / denominator * (adam.rate / correction1);
}
