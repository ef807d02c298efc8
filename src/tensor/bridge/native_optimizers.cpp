// Steps of the optimizers and norms of gradients, by the kernels of native/optimizers.cu. All is flat and fp32.
#include "native.h"

#include <ATen/ops/empty.h>

#include <cmath>

namespace sgas {
namespace {

uint32_t checked(std::initializer_list<const at::Tensor*> tensors) {
  const auto& first = **tensors.begin();
  for (const auto* tensor : tensors) {
    TORCH_CHECK(tensor->is_cuda() && tensor->scalar_type() == at::kFloat && tensor->is_contiguous() && tensor->dim() == 1 &&
                    tensor->sizes() == first.sizes() && tensor->numel() > 0,
                "optimizers' tensors are flat fp32 on a GPU, all of one size");
  }
  return native::counted(first.numel());
}

// A flag, fp32, or an undefined tensor.
at::Tensor flag(const at::Tensor* skip) {
  TORCH_CHECK(skip == nullptr || (skip->is_cuda() && skip->scalar_type() == at::kFloat && skip->numel() == 1),
              "the flag of a step is one number, fp32 on a GPU");
  return skip != nullptr ? *skip : at::Tensor();
}

// What autograd sees of a kernel that writes to a tensor.
void written(const at::Tensor& tensor) { tensor.unsafeGetTensorImpl()->bump_version(); }

}  // namespace
}  // namespace sgas

extern "C" {

// The norm of `gradient`, 0-dimensional, before it is clipped to `greatest` at most; 0 clips nothing.
char* sgas_native_clip(at::Tensor** out, const at::Tensor* gradient, double greatest) {
  return sgas::guarded([&] {
    const auto numbers = sgas::checked({gradient});
    const int64_t blocks = (gradient->numel() + sgas::native::NUMBERS_OF_BLOCK - 1) / sgas::native::NUMBERS_OF_BLOCK;
    const auto sums = at::empty({blocks}, gradient->options()), measured = at::empty({2}, gradient->options());
    sgas::native::launch("sgas_gradient_squares", *gradient, {blocks, sgas::native::MEASURING}, *gradient, sums, numbers);
    sgas::native::launch("sgas_gradient_norm", *gradient, {1, sgas::native::MEASURING}, sums, measured,
                         sgas::native::counted(blocks), greatest);
    if (greatest > 0) {
      sgas::native::launch("sgas_scale", *gradient, sgas::native::a_thread_each(numbers), *gradient, measured[1], numbers);
      sgas::written(*gradient);
    }
    sgas::give(out, measured[0]);
  });
}

// `skip` may be null.
char* sgas_native_sgd(const at::Tensor* weights, const at::Tensor* momentum, const at::Tensor* gradient,
                      const at::Tensor* skip, double rate, double kept, double decay) {
  return sgas::guarded([&] {
    const auto numbers = sgas::checked({weights, momentum, gradient});
    sgas::native::launch("sgas_sgd", *weights, sgas::native::a_thread_each(numbers), *weights, *momentum, *gradient,
                         sgas::flag(skip), numbers, static_cast<float>(rate), static_cast<float>(kept),
                         static_cast<float>(decay));
    sgas::written(*weights);
    sgas::written(*momentum);
  });
}

// `numbers` are rate, both betas, epsilon, decay and steps taken, this one included; of these `skipped`, fp64, which may be
// null as `skip` may, do not count.
char* sgas_native_adam(const at::Tensor* weights, const at::Tensor* mean, const at::Tensor* square,
                       const at::Tensor* gradient, const at::Tensor* skip, const at::Tensor* skipped,
                       const double* numbers) {
  return sgas::guarded([&] {
    const auto count = sgas::checked({weights, mean, square, gradient});
    const double beta1 = numbers[1], beta2 = numbers[2], steps = numbers[5];
    const auto single = [](double number) { return static_cast<float>(number); };
    const sgas::native::AdamNumbers adam{single(numbers[0]),
                                 single(beta1),
                                 single(beta2),
                                 single(numbers[3]),
                                 single(numbers[4]),
                                 single(1 - std::pow(beta1, steps)),
                                 single(1 - std::pow(beta2, steps))};
    at::Tensor corrections;
    if (skipped != nullptr) {
      TORCH_CHECK(skipped->is_cuda() && skipped->scalar_type() == at::kDouble && skipped->numel() == 1,
                  "skipped steps are one number, fp64 on a GPU");
      corrections = at::empty({2}, weights->options());
      sgas::native::launch("sgas_adam_corrections", *weights, {1, 1}, *skipped, corrections, steps, beta1, beta2);
    }
    sgas::native::launch("sgas_adam", *weights, sgas::native::a_thread_each(count), *weights, *mean, *square, *gradient,
                         sgas::flag(skip), corrections, adam, count);
    for (const auto* tensor : {weights, mean, square}) {
      sgas::written(*tensor);
    }
  });
}

}  // extern "C"
