// What the program asks of NVRTC and of CUDA's driver, which it finds through libcaffe2_nvrtc.so: here another name of
// this library. Kernels are not compiled when they are given; they are the program's own, compiled in here, and run by
// the executor.
#include "executor.h"
#include "stand_in.h"

#include <c10/util/Half.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <tuple>

inline float half_to_float(unsigned short bits) {
  return c10::detail::fp16_ieee_to_fp32_value(bits);
}

inline float exponential(float value) {
  return std::exp(value);
}

inline double square_root(double value) {
  return std::sqrt(value);
}

inline float square_root(float value) {
  return std::sqrt(value);
}

inline double power(double base, double exponent) {
  return std::pow(base, exponent);
}

inline unsigned short float_to_half(float value) {
  return c10::detail::fp16_ieee_from_fp32_value(value);
}

#include "../../../src/tensor/bridge/native/launches.h"
#include "../../../src/tensor/bridge/native/numbers.h"
#include "../../../src/tensor/bridge/native/pairs.h"
#include "../../../src/tensor/bridge/native/warps.h"

#include "../../../src/tensor/bridge/native/edges.cu"
#include "../../../src/tensor/bridge/native/links.cu"
#include "../../../src/tensor/bridge/native/mixture.cu"
#include "../../../src/tensor/bridge/native/lists.cu"
#include "../../../src/tensor/bridge/native/nearest.cu"
#include "../../../src/tensor/bridge/native/neighbours.cu"
#include "../../../src/tensor/bridge/native/optimizers.cu"
#include "../../../src/tensor/bridge/native/rows.cu"

namespace stand_in {
namespace {

// A kernel with the values that its launch was given the places of.
template <class... Arguments>
class Kernel {
 public:
  // `waits` says whether the kernel's threads wait for one another; those of others take no fibers.
  template <void (*kernel)(Arguments...), bool waits>
  static std::function<void()> work(unsigned blocks, unsigned threads, size_t shared, void** places) {
    return [=, values = values_at(places, std::index_sequence_for<Arguments...>())]() mutable {
      executor::run(blocks, threads, shared, waits, [](void* given) {
        std::apply(*kernel, *static_cast<std::tuple<Arguments...>*>(given));
      }, &values);
    };
  }

 private:
  template <size_t... index>
  static std::tuple<Arguments...> values_at(void** places, std::index_sequence<index...>) {
    return {*static_cast<Arguments*>(places[index])...};
  }
};

template <class... Arguments>
Kernel<Arguments...> kernel_type(void (*)(Arguments...));

struct Entry {
  const char* name;
  // What a launch with these arguments does.
  std::function<void()> (*work)(unsigned blocks, unsigned threads, size_t shared, void** places);
};

#define ENTRY(name) {#name, &decltype(kernel_type(&name))::work<&name, true>}
#define ALONE(name) {#name, &decltype(kernel_type(&name))::work<&name, false>}

#define ENTRY_OF_TYPES(name) ENTRY(name##_fp32), ENTRY(name##_fp16), ENTRY(name##_bf16)
#define ALONE_OF_TYPES(name) ALONE(name##_fp32), ALONE(name##_fp16), ALONE(name##_bf16)

const Entry entries[] = {
    ALONE(sgas_gather_16),
    ALONE(sgas_gather_8),
    ALONE(sgas_gather_4),
    ALONE(sgas_gather_2),
    ENTRY(sgas_transpose),
    ENTRY(sgas_nearest),
    ENTRY(sgas_edge_statistics),
    ENTRY(sgas_edge_terms),
    ENTRY_OF_TYPES(sgas_sum_pairs),
    ALONE_OF_TYPES(sgas_neighbour_sum),
    ALONE_OF_TYPES(sgas_neighbour_sum_back),
    ENTRY_OF_TYPES(sgas_neighbour_products),
    ALONE_OF_TYPES(sgas_neighbour_maximum),
    ALONE_OF_TYPES(sgas_neighbour_maximum_back),
    ENTRY_OF_TYPES(sgas_edge_select),
    ALONE_OF_TYPES(sgas_edge_normalise),
    ENTRY_OF_TYPES(sgas_edge_gradient_sums),
    ALONE_OF_TYPES(sgas_edge_own_back),
    ALONE_OF_TYPES(sgas_edge_other_back),
    ENTRY_OF_TYPES(sgas_link_edge_select),
    ALONE_OF_TYPES(sgas_link_edge_normalise),
    ENTRY_OF_TYPES(sgas_link_edge_gradient_sums),
    ALONE_OF_TYPES(sgas_link_edge_own_back),
    ALONE_OF_TYPES(sgas_link_edge_other_back),
    ALONE_OF_TYPES(sgas_link_aggregate),
    ALONE_OF_TYPES(sgas_link_aggregate_back),
    ENTRY(sgas_link_attention_weights),
    ALONE_OF_TYPES(sgas_link_weighted_sum),
    ALONE_OF_TYPES(sgas_link_weighted_sum_back),
    ENTRY_OF_TYPES(sgas_link_scores_back),
    ALONE(sgas_link_scores_to_sources),
    ENTRY_OF_TYPES(sgas_mixed_moments),
    ALONE_OF_TYPES(sgas_mixed_statistics),
    ALONE_OF_TYPES(sgas_mixed_sum),
    ENTRY_OF_TYPES(sgas_mixed_gradient_sums),
    ENTRY(sgas_mixed_terms),
    ALONE_OF_TYPES(sgas_mixed_back),
    ENTRY(sgas_gradient_squares),
    ENTRY(sgas_gradient_norm),
    ALONE(sgas_scale),
    ALONE(sgas_sgd),
    ALONE(sgas_adam_corrections),
    ALONE(sgas_adam),
    ENTRY_OF_TYPES(sgas_unit_length),
    ENTRY_OF_TYPES(sgas_unit_length_back),
    ALONE_OF_TYPES(sgas_add_up),
};

// Of what CUDA has many of: any error.
constexpr int failed = 1;

}  // namespace
}  // namespace stand_in

extern "C" {

int nvrtcVersion(int* major, int* minor) {
  *major = 13;
  *minor = 0;
  return 0;
}

int nvrtcCreateProgram(void** program, const char* source, const char*, int, const char* const*, const char* const*) {
  // What is given must be what is compiled in here, as far as one name tells.
  if (std::strstr(source, "sgas_nearest") == nullptr) {
    return stand_in::failed;
  }
  *program = const_cast<char*>("program");
  return 0;
}

int nvrtcCompileProgram(void*, int count, const char* const* options) {
  return count > 0 && std::strcmp(options[0], "--gpu-architecture=sm_90") == 0 ? 0 : stand_in::failed;
}

int nvrtcGetProgramLogSize(void*, size_t* size) {
  *size = 1;
  return 0;
}

int nvrtcGetProgramLog(void*, char* log) {
  *log = '\0';
  return 0;
}

int nvrtcGetCUBINSize(void*, size_t* size) {
  *size = 1;
  return 0;
}

int nvrtcGetCUBIN(void*, char* code) {
  *code = 'k';
  return 0;
}

int nvrtcDestroyProgram(void**) {
  return 0;
}

const char* nvrtcGetErrorString(int) {
  return "the stand-in for NVRTC was given another source than its own";
}

int cuDeviceGet(int* handle, int) {
  *handle = 0;
  return 0;
}

// Compute capability 9.0; nothing else is asked.
int cuDeviceGetAttribute(int* value, int attribute, int) {
  constexpr int capability_major = 75, capability_minor = 76;
  *value = attribute == capability_major ? 9 : 0;
  return attribute == capability_major || attribute == capability_minor ? 0 : stand_in::failed;
}

int cuModuleLoadData(void** module, const void* code) {
  *module = const_cast<char*>("module");
  return *static_cast<const char*>(code) == 'k' ? 0 : stand_in::failed;
}

int cuModuleGetFunction(void** function, void*, const char* name) {
  for (const auto& entry : stand_in::entries) {
    if (std::strcmp(entry.name, name) == 0) {
      *function = const_cast<stand_in::Entry*>(&entry);
      return 0;
    }
  }
  return stand_in::failed;
}

int cuLaunchKernel(void* function, unsigned blocks, unsigned rows, unsigned layers, unsigned threads, unsigned, unsigned,
                   unsigned shared, void*, void** places, void**) {
  constexpr unsigned most_threads = 1024, most_shared = 48u << 10;
  if (blocks == 0 || rows != 1 || layers != 1 || threads == 0 || threads > most_threads || shared > most_shared) {
    return stand_in::failed;
  }
  const auto* entry = static_cast<const stand_in::Entry*>(function);
  stand_in::count(stand_in::Cost::operation, std::string("kernel ") + entry->name, 0);
  auto work = entry->work(blocks, threads, shared, places);
  if (auto* const graph = stand_in::recording()) {
    graph->steps.push_back(std::move(work));
  } else {
    work();
  }
  return 0;
}

int cuGetErrorString(int, const char** text) {
  *text = "the stand-in for CUDA's driver was asked for what it has not";
  return 0;
}

}  // extern "C"
