// How the process keeps memory, and a count of the bytes of tensors.
#include "bridge.h"

#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <algorithm>
#include <limits>
#include <memory>
#include <unordered_map>

namespace {

// Hears of every block that this thread takes for a CPU tensor, and of its return.
struct Meter : c10::MemoryReportingInfoBase {
  int64_t held = 0;
  int64_t peak = 0;
  int64_t largest = 0;
  // Blocks taken since it began: those of before are none of its business.
  std::unordered_map<void*, int64_t> blocks;

  void reportMemoryUsage(void* block, int64_t bytes, size_t, size_t, c10::Device device) override {
    if (!device.is_cpu()) {
      return;
    }
    if (bytes > 0) {
      blocks[block] = bytes;
      held += bytes;
      peak = std::max(peak, held);
      largest = std::max(largest, bytes);
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

char* sgas_meter_start(Meter** out) {
  return sgas::guarded([&] {
    const auto meter = std::make_shared<Meter>();
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

// Ends the last meter that this thread began.
char* sgas_meter_stop() {
  return sgas::guarded([] { c10::ThreadLocalDebugInfo::_pop(place); });
}

}  // extern "C"
