// Devices, mixed precision and versions: what torch-sys lacks, or offers for CUDA alone.
#include "bridge.h"

#include <ATen/autocast_mode.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <dlfcn.h>

#include <cstdlib>

namespace {

// The numbers that mod.rs sends for a kind of device and for a half type.
at::DeviceType device_type(int code) {
  return code == 1 ? at::kCUDA : at::kCPU;
}

at::ScalarType half_type(int code) {
  return code == 1 ? at::kBFloat16 : at::kHalf;
}

int half_code(at::ScalarType type) {
  return type == at::kBFloat16 ? 1 : 0;
}

}  // namespace

extern "C" {

void sgas_free_text(char* text) {
  std::free(text);
}

// Global, so that the operators that libtorch_cuda registers find libtorch_cpu's symbols and ours find its.
char* sgas_load_cuda() {
  if (dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) != nullptr) {
    return nullptr;
  }
  const char* reason = dlerror();
  return sgas::copy_text(reason != nullptr ? reason : "libtorch_cuda.so did not load");
}

// Sets autocast of this thread and gives what it was.
char* sgas_autocast_enter(int device, int enabled, int half, int* enabled_before, int* half_before) {
  return sgas::guarded([&] {
    const auto type = device_type(device);
    *enabled_before = at::autocast::is_autocast_enabled(type) ? 1 : 0;
    *half_before = half_code(at::autocast::get_autocast_dtype(type));
    at::autocast::increment_nesting();
    at::autocast::set_autocast_dtype(type, half_type(half));
    at::autocast::set_autocast_enabled(type, enabled != 0);
  });
}

// Sets autocast back; the outermost exit drops the half copies of the weights.
char* sgas_autocast_leave(int device, int enabled_before, int half_before) {
  return sgas::guarded([&] {
    const auto type = device_type(device);
    at::autocast::set_autocast_enabled(type, enabled_before != 0);
    at::autocast::set_autocast_dtype(type, half_type(half_before));
    if (at::autocast::decrement_nesting() == 0) {
      at::autocast::clear_cache();
    }
  });
}

char* sgas_autocast_clear_cache() {
  return sgas::guarded([] { at::autocast::clear_cache(); });
}

// TF32: products and convolutions of fp32 numbers see 11 of their 24 bits. cuDNN does it unless it is told not to.
char* sgas_allow_tf32(int allowed) {
  return sgas::guarded([&] {
    at::globalContext().setFloat32MatmulPrecision(allowed != 0 ? "high" : "highest");
    at::globalContext().setAllowTF32CuDNN(allowed != 0);
  });
}

// Products of matrices alone.
char* sgas_exact_products(int exact) {
  return sgas::guarded([&] { at::globalContext().setFloat32MatmulPrecision(exact != 0 ? "highest" : "high"); });
}

char* sgas_are_products_exact(int* out) {
  return sgas::guarded([&] {
    *out = at::globalContext().float32MatmulPrecision() == at::Float32MatmulPrecision::HIGHEST ? 1 : 0;
  });
}

char* sgas_cuda_synchronize(int index) {
  return sgas::guarded([&] { at::detail::getCUDAHooks().deviceSynchronize(static_cast<c10::DeviceIndex>(index)); });
}

char* sgas_cuda_peak_bytes(int index, int64_t* out) {
  return sgas::guarded([&] {
    const auto aggregate = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);
    *out = at::getDeviceAllocator(at::kCUDA)
               ->getDeviceStats(static_cast<c10::DeviceIndex>(index))
               .allocated_bytes[aggregate]
               .peak;
  });
}

char* sgas_cuda_reset_peak(int index) {
  return sgas::guarded(
      [&] { at::getDeviceAllocator(at::kCUDA)->resetPeakStats(static_cast<c10::DeviceIndex>(index)); });
}

}  // extern "C"
