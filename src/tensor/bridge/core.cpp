// Devices, mixed precision and versions: what torch-sys lacks, or offers for CUDA alone.
#include "bridge.h"

#include <ATen/autocast_mode.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>

#include <cstdlib>
#include <cstring>
#include <exception>
#include <stdexcept>

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

// As Rust reads the variable: set, and not 0.
bool wants_stack() {
  const char* asked = std::getenv("RUST_BACKTRACE");
  return asked != nullptr && std::strcmp(asked, "0") != 0;
}

}  // namespace

char* sgas::thrown_text() noexcept {
  try {
    throw;
  } catch (const c10::Error& error) {
    return copy_text(wants_stack() ? error.what() : error.what_without_backtrace());
  } catch (const std::exception& error) {
    return copy_text(error.what());
  } catch (...) {
    return copy_text("an exception of unknown type");
  }
}

extern "C" {

void sgas_free_text(char* text) {
  std::free(text);
}

// Global, so that the operators that libtorch_cuda registers find libtorch_cpu's symbols and ours find its.
//
// An exception of the library's static initialisers comes out of dlopen, although dlopen is declared to throw none: a
// plain call of it ends the program there. Called through a pointer that the compiler can't see through, it is caught
// like any other. `broke_off` then is 1: glibc still holds its loader's lock, and another thread that loads a library
// or looks up a symbol would wait for ever.
char* sgas_load_cuda(int* broke_off) {
  return sgas::guarded([&] {
    void* (*volatile open)(const char*, int) = &dlopen;
    *broke_off = 1;
    void* const library = open("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL);
    *broke_off = 0;
    if (library == nullptr) {
      const char* reason = dlerror();
      throw std::runtime_error(reason != nullptr ? reason : "libtorch_cuda.so did not load");
    }
  });
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

// TF32: products and convolutions of fp32 numbers see 11 of their 24 bits. cuDNN does it unless it is told not to.
char* sgas_allow_tf32(int allowed) {
  return sgas::guarded([&] {
    at::globalContext().setFloat32MatmulPrecision(allowed != 0 ? "high" : "highest");
    at::globalContext().setAllowTF32CuDNN(allowed != 0);
  });
}

// From now on CUDA computes the same numbers in the same order at every run, or refuses with an error. cuBLAS reads the
// variable when it starts; one that is set already stays. Memory that is not written yet is not filled for it: nothing
// here reads such memory, and filling takes time.
char* sgas_cuda_deterministic() {
  return sgas::guarded([] {
    setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", 0);
    auto& context = at::globalContext();
    context.setDeterministicAlgorithms(true, /*warn_only=*/false);
    context.setDeterministicFillUninitializedMemory(false);
    context.setDeterministicCuDNN(true);
    context.setBenchmarkCuDNN(false);
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

// A copy on a GPU, made through pinned memory on a stream of its own, so that it runs beside what is computed; nothing
// waits for it but what is computed from now on.
char* sgas_upload(at::Tensor** out, const at::Tensor* tensor, int index) {
  return sgas::guarded([&] {
    const c10::Device device(at::kCUDA, static_cast<c10::DeviceIndex>(index));
    const c10::impl::VirtualGuardImpl cuda(at::kCUDA);
    static thread_local const c10::Stream copies = cuda.getStreamFromGlobalPool(device);
    const auto computing = cuda.getStream(device);
    const auto pinned = tensor->pin_memory();
    if (sgas::a_recording_broke_off()) {
      // Memory of two streams would never be free again.
      sgas::give(out, pinned.to(device, /*non_blocking=*/true));
      return;
    }
    at::Tensor moved;
    {
      const c10::StreamGuard guard(copies);
      moved = pinned.to(device, /*non_blocking=*/true);
    }
    c10::Event copied(at::kCUDA);
    copied.record(copies);
    copied.block(computing);
    // Its memory belongs to the stream of the copies, which must not use it again while it is computed with.
    moved.record_stream(computing);
    sgas::give(out, std::move(moved));
  });
}

char* sgas_cuda_synchronize(int index) {
  return sgas::guarded([&] { at::detail::getCUDAHooks().deviceSynchronize(static_cast<c10::DeviceIndex>(index)); });
}

// Of tensors, or of what the allocator had of the device for them.
char* sgas_cuda_peak_bytes(int index, int reserved, int64_t* out) {
  return sgas::guarded([&] {
    const auto aggregate = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);
    const auto stats = at::getDeviceAllocator(at::kCUDA)->getDeviceStats(static_cast<c10::DeviceIndex>(index));
    *out = (reserved != 0 ? stats.reserved_bytes : stats.allocated_bytes)[aggregate].peak;
  });
}

char* sgas_cuda_reset_peak(int index) {
  return sgas::guarded(
      [&] { at::getDeviceAllocator(at::kCUDA)->resetPeakStats(static_cast<c10::DeviceIndex>(index)); });
}

}  // extern "C"
