// A trace of everything that runs between start and stop, by libtorch's Kineto profiler: operators of every thread,
// and with CUDA its calls and kernels.
#include "bridge.h"

#include <kineto/ActivityType.h>
#include <torch/csrc/autograd/profiler_kineto.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <sstream>
#include <string>

namespace {

namespace profiler = torch::autograd::profiler;
using torch::profiler::impl::ActivityType;

// What was traced last and is not saved yet.
thread_local std::unique_ptr<profiler::ProfilerResult> traced;

// `kernel` for all that the GPU does, copies too, `operator`, `call` for a call of CUDA; null for the rest.
const char* kind(const profiler::KinetoEvent& event) {
  const auto activity = static_cast<libkineto::ActivityType>(event.activityType());
  switch (activity) {
    case libkineto::ActivityType::CPU_OP:
      return "operator";
    case libkineto::ActivityType::CUDA_RUNTIME:
    case libkineto::ActivityType::CUDA_DRIVER:
      return "call";
    case libkineto::ActivityType::CONCURRENT_KERNEL:
    case libkineto::ActivityType::GPU_MEMCPY:
    case libkineto::ActivityType::GPU_MEMSET:
      return "kernel";
    default:
      return nullptr;
  }
}

}  // namespace

extern "C" {

char* sgas_trace_start() {
  return sgas::guarded([] {
    const torch::profiler::impl::ProfilerConfig config(torch::profiler::impl::ProfilerState::KINETO);
    std::set<ActivityType> activities{ActivityType::CPU};
    if (at::hasCUDA()) {
      activities.insert(ActivityType::CUDA);
    } else {
      // Or Kineto complains of the missing GPU.
      setenv("KINETO_LOG_LEVEL", "5", 0);
    }
    profiler::prepareProfiler(config, activities);
    // Also the scopes of nodes in backward passes; libtorch carries the profiler to the threads that run them.
    profiler::enableProfiler(config, activities, {at::RecordScope::FUNCTION, at::RecordScope::BACKWARD_FUNCTION});
  });
}

// A line per event: kind, thread, start and duration in nanoseconds, name.
char* sgas_trace_stop(char** out) {
  return sgas::guarded([&] {
    traced = profiler::disableProfiler();
    TORCH_CHECK(traced != nullptr, "the profiler has no result");
    std::ostringstream text;
    for (const auto& event : traced->events()) {
      const char* of_kind = kind(event);
      if (of_kind == nullptr) {
        continue;
      }
      std::string name = event.name();
      std::replace(name.begin(), name.end(), '\n', ' ');
      text << of_kind << ' ' << event.startThreadId() << ' ' << event.startNs() << ' ' << event.durationNs() << ' '
           << name << '\n';
    }
    *out = sgas::copy_text(text.str().c_str());
  });
}

// Writes what was traced last as Chrome's trace events, and forgets it.
char* sgas_trace_save(const char* path) {
  return sgas::guarded([&] {
    const auto result = std::move(traced);
    TORCH_CHECK(result != nullptr, "nothing was traced");
    result->save(path);
  });
}

}  // extern "C"
