// How the process keeps memory, a count of the bytes of tensors, and what a GPU has left.
#include "bridge.h"

#include <c10/core/Allocator.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace {

// Hears of every block that is taken for a tensor of a kind of device, and of its return: by this thread, and on a GPU by
// autograd's, which inherits this thread's state.
struct Meter : c10::MemoryReportingInfoBase {
  explicit Meter(c10::DeviceType type) : type(type) {}

  const c10::DeviceType type;
  std::mutex lock;
  int64_t held = 0;
  int64_t peak = 0;
  int64_t largest = 0;
  // Bytes held when each block had been taken, in the order of the blocks, and before, where blocks had been returned.
  std::vector<int64_t> curve;
  // Blocks taken since it began: those of before are none of its business.
  std::unordered_map<void*, int64_t> blocks;

  void reportMemoryUsage(void* block, int64_t bytes, size_t, size_t, c10::Device device) override {
    if (device.type() != type) {
      return;
    }
    const std::lock_guard guard(lock);
    if (bytes > 0) {
      blocks[block] = bytes;
      if (!curve.empty() && curve.back() != held) {
        curve.push_back(held);
      }
      held += bytes;
      peak = std::max(peak, held);
      largest = std::max(largest, bytes);
      curve.push_back(held);
    } else if (const auto known = blocks.find(block); known != blocks.end()) {
      held -= known->second;
      blocks.erase(known);
    }
  }

  bool memoryProfilingEnabled() const override { return true; }
};

constexpr auto place = c10::DebugInfoKind::PROFILER_STATE;

}  // namespace

extern "C" {

// By default glibc maps every large block anew and unmaps it when freed, and the kernel clears each page again:
// a quarter of a training step on a CPU.
void sgas_keep_freed_memory() {
#ifdef __GLIBC__
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
#endif
}

// Without the destructors of libtorch's tables; the system takes all memory back at once.
[[noreturn]] void sgas_end_process(int code) {
  std::fflush(nullptr);
  std::_Exit(code);
}

// Of tensors in host memory, or on CUDA.
char* sgas_meter_start(int cuda, Meter** out) {
  return sgas::guarded([&] {
    const auto meter = std::make_shared<Meter>(cuda != 0 ? c10::kCUDA : c10::kCPU);
    c10::ThreadLocalDebugInfo::_push(place, meter);
    *out = meter.get();
  });
}

// Bytes held, the most so far, and those of the largest block.
void sgas_meter_read(const Meter* meter, int64_t* held, int64_t* peak, int64_t* largest) {
  *held = meter->held;
  *peak = meter->peak;
  *largest = meter->largest;
}

// Bytes held over time; `curve` has room for `count` of them. Gives how many there are.
size_t sgas_meter_curve(const Meter* meter, int64_t* curve, size_t count) {
  std::copy_n(meter->curve.begin(), std::min(count, meter->curve.size()), curve);
  return meter->curve.size();
}

// Ends the last meter that this thread began.
char* sgas_meter_stop() {
  return sgas::guarded([] { c10::ThreadLocalDebugInfo::_pop(place); });
}

// Bytes of a GPU that nobody holds, and all of them.
char* sgas_cuda_room(int index, uint64_t* free, uint64_t* total) {
  return sgas::guarded([&] {
    const auto [left, all] = at::getDeviceAllocator(at::kCUDA)->getMemoryInfo(static_cast<c10::DeviceIndex>(index));
    *free = left;
    *total = all;
  });
}

// Gives back to the GPU what was freed and is kept for the next tensors.
char* sgas_cuda_empty_cache() {
  return sgas::guarded([] { at::getDeviceAllocator(at::kCUDA)->emptyCache(); });
}

}  // extern "C"
