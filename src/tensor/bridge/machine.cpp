// What the loaded libtorch and NVIDIA's driver say of themselves.
#include "bridge.h"
#include "kernels.h"

#include <ATen/Version.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <dlfcn.h>

#include <string>

namespace {

// The driver, loaded for good; throws the dynamic linker's reason where there is none.
void* driver() {
  static void* const library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  static const std::string reason = library != nullptr ? "" : dlerror();
  TORCH_CHECK(library != nullptr, reason);
  return library;
}

// Calls a function of the driver, a stable C interface for which CUDA's headers are not needed.
template <class... Arguments>
void ask_driver(const char* name, Arguments... arguments) {
  const auto function = reinterpret_cast<int (*)(Arguments...)>(dlsym(driver(), name));
  TORCH_CHECK(function != nullptr, "the NVIDIA driver lacks ", name);
  const int code = function(arguments...);
  TORCH_CHECK(code == 0, "the NVIDIA driver's ", name, " failed with CUDA error ", code);
}

// CUdevice_attribute of cuda.h.
constexpr int capability_major = 75;
constexpr int capability_minor = 76;

}  // namespace

namespace sgas {

Vectors widest_vectors() {
  static const Vectors widest = [] {
#if defined(__x86_64__)
    const std::string allowed = at::get_cpu_capability();
    if (allowed == "AVX512" && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
      return Vectors::avx512;
    }
    if ((allowed == "AVX512" || allowed == "AVX2") && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
      return Vectors::avx2;
    }
#endif
    return Vectors::plain;
  }();
  return widest;
}

}  // namespace sgas

extern "C" {

// The instructions that libtorch's kernels and ours use: the processor's, or no more than ATEN_CPU_CAPABILITY allows.
char* sgas_instructions(char** out) {
  return sgas::guarded([&] { *out = sgas::copy_text(at::get_cpu_capability().c_str()); });
}

// Version, compiler flags and kinds of processor, as the libtorch that is loaded tells them.
char* sgas_libtorch_config(char** out) {
  return sgas::guarded([&] { *out = sgas::copy_text(at::show_config().c_str()); });
}

// What libtorch's CUDA part tells about its build: CUDA's version, and the architectures that it was compiled for.
char* sgas_cuda_config(char** out) {
  return sgas::guarded([&] { *out = sgas::copy_text(at::detail::getCUDAHooks().showConfig().c_str()); });
}

// The newest CUDA that the driver can serve, as 1000 · major + 10 · minor, and the number of its devices.
char* sgas_driver(int32_t* cuda_version, int32_t* devices) {
  return sgas::guarded([&] {
    ask_driver("cuInit", 0U);
    ask_driver("cuDriverGetVersion", cuda_version);
    ask_driver("cuDeviceGetCount", devices);
  });
}

// A device of the driver; `name` has `size` bytes of room.
char* sgas_gpu(int32_t index, char* name, int32_t size, uint64_t* bytes, int32_t* major, int32_t* minor) {
  return sgas::guarded([&] {
    int32_t device = 0;
    size_t memory = 0;
    ask_driver("cuInit", 0U);
    ask_driver("cuDeviceGet", &device, index);
    ask_driver("cuDeviceGetName", name, size, device);
    ask_driver("cuDeviceTotalMem_v2", &memory, device);
    ask_driver("cuDeviceGetAttribute", major, capability_major, device);
    ask_driver("cuDeviceGetAttribute", minor, capability_minor, device);
    *bytes = memory;
  });
}

}  // extern "C"
