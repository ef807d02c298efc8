// Loading the kernels of native/, and starting them.
//
// NVRTC and the driver are found through libcaffe2_nvrtc.so, which lies beside libtorch_cuda.so and asks for both: looked
// up in it, their functions are those that libtorch itself uses.
#include "native.h"

#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>

#include <array>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <map>
#include <mutex>
#include <string>

#include <unistd.h>

namespace sgas::native {
namespace {

// A function of a library of C, by its name and type.
template <class Function>
Function* function(void* library, const char* name) {
  void* const found = dlsym(library, name);
  TORCH_CHECK(found != nullptr, name, " is not there: ", dlerror());
  return reinterpret_cast<Function*>(found);
}

void* opened(const char* path) {
  void* const library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  TORCH_CHECK(library != nullptr, dlerror());
  return library;
}

// The driver's, as far as it is needed; results are 0 where all went well, and handles are pointers.
struct Driver {
  void* const library = opened("libcaffe2_nvrtc.so");
  int (&get_device)(int*, int) = *function<int(int*, int)>(library, "cuDeviceGet");
  int (&get_attribute)(int*, int, int) = *function<int(int*, int, int)>(library, "cuDeviceGetAttribute");
  int (&load_module)(void**, const void*) = *function<int(void**, const void*)>(library, "cuModuleLoadData");
  int (&get_function)(void**, void*, const char*) =
      *function<int(void**, void*, const char*)>(library, "cuModuleGetFunction");
  int (&launch_kernel)(void*, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void*, void**,
                       void**) =
      *function<int(void*, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void*, void**, void**)>(
          library, "cuLaunchKernel");
  int (&get_error_string)(int, const char**) = *function<int(int, const char**)>(library, "cuGetErrorString");

  void check(int result, const char* what) const {
    if (result != 0) {
      const char* text = nullptr;
      get_error_string(result, &text);
      TORCH_CHECK(false, what, ": ", text != nullptr ? text : "an error without a text", " (", result, ")");
    }
  }
};

// Never destroyed: CUDA may go first.
const Driver& driver() {
  static const auto* loaded = new Driver;
  return *loaded;
}

// As CUDA numbers them.
constexpr int capability_major = 75;
constexpr int capability_minor = 76;

// "sm_90" of compute capability 9.0.
std::string architecture(int device) {
  int handle = 0;
  std::array<int, 2> numbers{};
  driver().check(driver().get_device(&handle, device), "the GPU is not there");
  driver().check(driver().get_attribute(&numbers[0], capability_major, handle), "no compute capability");
  driver().check(driver().get_attribute(&numbers[1], capability_minor, handle), "no compute capability");
  return "sm_" + std::to_string(numbers[0]) + std::to_string(numbers[1]);
}

// NVRTC opens a library of its own by name alone, and finds it where it is open already: beside NVRTC.
void open_builtins(const void* nvrtc, int major, int minor) {
  Dl_info place{};
  if (dladdr(nvrtc, &place) == 0 || place.dli_fname == nullptr) {
    return;
  }
  const std::string path = place.dli_fname;
  const auto folder = path.substr(0, path.rfind('/') + 1);
  // Where it lies elsewhere, NVRTC says so itself.
  dlopen((folder + "libnvrtc-builtins.so." + std::to_string(major) + "." + std::to_string(minor)).c_str(),
         RTLD_NOW | RTLD_GLOBAL);
}

// The machine code of a source for an architecture.
std::string compiled(const char* source, const std::string& architecture) {
  void* const library = driver().library;
  const auto version = function<int(int*, int*)>(library, "nvrtcVersion");
  const auto create = function<int(void**, const char*, const char*, int, const char* const*, const char* const*)>(
      library, "nvrtcCreateProgram");
  const auto compile = function<int(void*, int, const char* const*)>(library, "nvrtcCompileProgram");
  const auto get_log_size = function<int(void*, size_t*)>(library, "nvrtcGetProgramLogSize");
  const auto get_log = function<int(void*, char*)>(library, "nvrtcGetProgramLog");
  const auto get_size = function<int(void*, size_t*)>(library, "nvrtcGetCUBINSize");
  const auto get_code = function<int(void*, char*)>(library, "nvrtcGetCUBIN");
  const auto destroy = function<int(void**)>(library, "nvrtcDestroyProgram");
  const auto name_of = function<const char*(int)>(library, "nvrtcGetErrorString");
  const auto check = [&](int result) { TORCH_CHECK(result == 0, "NVRTC: ", name_of(result)); };

  int major = 0, minor = 0;
  check(version(&major, &minor));
  open_builtins(reinterpret_cast<const void*>(version), major, minor);
  void* program = nullptr;
  check(create(&program, source, "sgas.cu", 0, nullptr, nullptr));
  const std::string target = "--gpu-architecture=" + architecture;
  const std::array<const char*, 2> options{target.c_str(), "--std=c++17"};
  const int result = compile(program, static_cast<int>(options.size()), options.data());
  size_t size = 0;
  if (result != 0) {
    check(get_log_size(program, &size));
    std::string log(size, '\0');
    check(get_log(program, log.data()));
    destroy(&program);
    TORCH_CHECK(false, "NVRTC ", major, ".", minor, " does not compile for ", architecture, ": ", name_of(result), "\n",
                log.c_str());
  }
  check(get_size(program, &size));
  std::string code(size, '\0');
  check(get_code(program, code.data()));
  destroy(&program);
  return code;
}

// The kernels of each GPU by name.
struct Kernels {
  std::mutex turn;
  std::map<std::pair<int, std::string>, void*> found;
  std::map<int, void*> modules;
};

Kernels& kernels() {
  static auto* loaded = new Kernels;
  return *loaded;
}

void* kernel_of(int device, const std::string& name) {
  auto& [turn, found, modules] = kernels();
  const std::lock_guard<std::mutex> held(turn);
  auto& kernel = found[{device, name}];
  if (kernel == nullptr) {
    const auto module = modules.find(device);
    TORCH_CHECK(module != modules.end(), "no kernels were loaded for cuda:", device);
    driver().check(driver().get_function(&kernel, module->second, name.c_str()), name.c_str());
  }
  return kernel;
}

std::string content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// Whole or not at all, and silently not where it can't be.
void keep(const std::string& path, const std::string& code) {
  const auto part = path + "." + std::to_string(getpid()) + ".part";
  {
    std::ofstream file(part, std::ios::binary);
    file.write(code.data(), static_cast<std::streamsize>(code.size()));
    if (!file.flush()) {
      std::remove(part.c_str());
      return;
    }
  }
  std::rename(part.c_str(), path.c_str());
}

void load(const char* source, int device, const char* cache) {
  const c10::DeviceGuard guard(c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(device)));
  // The first tensor makes the context of the GPU, which modules belong to.
  at::empty({1}, at::TensorOptions(guard.current_device()));
  const auto target = architecture(device);
  const auto path = cache != nullptr ? std::string(cache) + "-" + target + ".cubin" : std::string();
  auto code = content(path);
  void* module = nullptr;
  if (code.empty() || driver().load_module(&module, code.data()) != 0) {
    code = compiled(source, target);
    driver().check(driver().load_module(&module, code.data()), "the driver does not take the kernels");
    keep(path, code);
  }
  auto& [turn, found, modules] = kernels();
  const std::lock_guard<std::mutex> held(turn);
  modules[device] = module;
}

}  // namespace

void start(const std::string& kernel, const at::Tensor& like, const Grid& grid, at::ArrayRef<const void*> arguments) {
  const auto device = like.device();
  const c10::DeviceGuard guard(device);
  const c10::impl::VirtualGuardImpl of_device(device.type());
  void* const stream = of_device.getStreamNativeHandle(of_device.getStream(device));
  // The driver takes pointers that it does not write through.
  std::vector<void*> places;
  for (const void* argument : arguments) {
    places.push_back(const_cast<void*>(argument));
  }
  driver().check(driver().launch_kernel(kernel_of(device.index(), kernel), static_cast<unsigned>(grid.blocks), 1, 1,
                                        static_cast<unsigned>(grid.threads), 1, 1, static_cast<unsigned>(grid.shared),
                                        stream, places.data(), nullptr),
                 kernel.c_str());
}

}  // namespace sgas::native

extern "C" {

// `cache` is how the paths of files with machine code begin, or null.
char* sgas_native_load(const char* source, int device, const char* cache) {
  return sgas::guarded([&] { sgas::native::load(source, device, cache); });
}

}  // extern "C"
