// Memory of the device and pinned host memory, streams and events, and what libtorch asks of a device.
#include "stand_in.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/CachingHostAllocator.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/Allocator.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

namespace stand_in {
namespace {

// What it is said to have, 16 GiB.
constexpr int64_t capacity = int64_t{16} << 30;

std::atomic<int64_t> held{0};
std::atomic<int64_t> peak{0};

void take(int64_t bytes) {
  const int64_t now = held += bytes;
  int64_t most = peak;
  while (now > most && !peak.compare_exchange_weak(most, now)) {
  }
}

std::shared_ptr<GraphMemory> graph_memory() {
  const auto* graph = recording();
  return graph != nullptr ? graph->memory : nullptr;
}

// A place in memory and its size.
struct Block {
  void* data;
  size_t bytes;
  // Of the graph that it was taken for.
  std::shared_ptr<GraphMemory> graph = nullptr;

  // As CUDA's allocators do: the start is aligned, and there is no room of no bytes.
  static Block* of(size_t bytes) {
    constexpr size_t alignment = 512;
    void* data = bytes == 0 ? nullptr : std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
    TORCH_CHECK(bytes == 0 || data != nullptr, "CUDA out of memory: the stand-in found no ", bytes, " bytes");
    return new Block{data, bytes};
  }

  ~Block() { std::free(data); }
};

struct DeviceMemory final : c10::DeviceAllocator {
  c10::DataPtr allocate(size_t bytes) override {
    Block* block = Block::of(bytes);
    // NaN in every type of floating numbers, -1 in every integer.
    std::memset(block->data, 0xff, bytes);
    block->graph = graph_memory();
    take(static_cast<int64_t>(bytes));
    report(block->data, static_cast<int64_t>(bytes));
    return {block->data, block, free, device()};
  }

  // As CUDA's allocator tells a meter of this thread.
  static void report(void* data, int64_t bytes) {
    if (bytes != 0) {
      c10::reportMemoryUsageToProfiler(data, bytes, static_cast<size_t>(held), static_cast<size_t>(held), device());
    }
  }

  static void free(void* context) {
    auto* block = static_cast<Block*>(context);
    report(block->data, -static_cast<int64_t>(block->bytes));
    const auto last = [block] {
      held -= static_cast<int64_t>(block->bytes);
      delete block;
    };
    const auto graph = std::move(block->graph);
    if (graph == nullptr || !graph->keep(last)) {
      last();
    }
  }

  void copy_data(void* to, const void* from, size_t bytes) const override { default_copy_data(to, from, bytes); }
  bool initialized() override { return true; }
  void emptyCache(c10::MempoolId_t) override {}
  void recordStream(const c10::DataPtr&, c10::Stream) override {}
  std::pair<size_t, size_t> getMemoryInfo(c10::DeviceIndex) override { return {capacity - held, capacity}; }
  void resetAccumulatedStats(c10::DeviceIndex) override {}
  void resetPeakStats(c10::DeviceIndex) override { peak = held.load(); }

  c10::CachingDeviceAllocator::DeviceStats getDeviceStats(c10::DeviceIndex) override {
    c10::CachingDeviceAllocator::DeviceStats stats;
    auto& all = stats.allocated_bytes[static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE)];
    all.current = held;
    all.peak = peak;
    // Nothing is kept for later here.
    stats.reserved_bytes[static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE)] = all;
    return stats;
  }
};

// Host memory that a GPU could read by itself, so that a copy out of it need not wait.
struct PinnedMemory final : at::HostAllocator {
  std::mutex lock;
  std::map<const char*, size_t> blocks;

  c10::DataPtr allocate(size_t bytes) override;

  bool holds(const void* data) {
    const std::lock_guard guard(lock);
    const auto* place = static_cast<const char*>(data);
    const auto after = blocks.upper_bound(place);
    if (after == blocks.begin()) {
      return false;
    }
    const auto& [start, bytes] = *std::prev(after);
    return place < start + bytes;
  }

  void copy_data(void* to, const void* from, size_t bytes) const override { default_copy_data(to, from, bytes); }
  bool record_event(void*, void*, c10::Stream) override { return true; }
  void empty_cache() override {}
  at::HostStats get_stats() override { return {}; }
  void reset_accumulated_stats() override {}
  void reset_peak_stats() override {}
};

DeviceMemory device_allocator;

// Never destroyed: tensors may outlive what is destroyed at the end of the program.
PinnedMemory& pinned() {
  static auto* memory = new PinnedMemory;
  return *memory;
}

void free_pinned(void* context) {
  auto* block = static_cast<Block*>(context);
  {
    const std::lock_guard guard(pinned().lock);
    pinned().blocks.erase(static_cast<const char*>(block->data));
  }
  delete block;
}

c10::DataPtr PinnedMemory::allocate(size_t bytes) {
  Block* block = Block::of(bytes);
  if (bytes > 0) {
    const std::lock_guard guard(lock);
    blocks[static_cast<const char*>(block->data)] = bytes;
  }
  return {block->data, block, free_pinned, c10::Device(c10::kCPU)};
}

// 0 is the default stream; each thread has a current one. Work of every stream is done at once, in the order of calls.
thread_local c10::StreamId current_stream = c10::Stream(c10::Stream::DEFAULT, device()).id();

struct Guard final : c10::impl::DeviceGuardImplInterface {
  static c10::Stream stream(c10::StreamId id) { return c10::Stream(c10::Stream::UNSAFE, device(), id); }

  c10::DeviceType type() const override { return c10::kCUDA; }
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
  c10::Device getDevice() const override { return device(); }
  c10::Device exchangeDevice(c10::Device) const override { return device(); }
  void setDevice(c10::Device) const override {}
  void uncheckedSetDevice(c10::Device) const noexcept override {}

  c10::Stream getStream(c10::Device) const override { return stream(current_stream); }
  c10::Stream getDefaultStream(c10::Device) const override { return stream(0); }
  c10::Stream getNewStream(c10::Device, int) const override {
    static std::atomic<c10::StreamId> last{0};
    return stream(++last);
  }
  c10::Stream getStreamFromGlobalPool(c10::Device of, bool) const override { return getNewStream(of, 0); }
  c10::Stream exchangeStream(c10::Stream next) const override {
    return stream(std::exchange(current_stream, next.id()));
  }
  // The driver knows it by this; nothing asks what it is.
  void* getStreamNativeHandle(const c10::Stream) const override { return nullptr; }
  bool queryStream(const c10::Stream&) const override { return true; }
  void synchronizeStream(const c10::Stream&) const override { count(Cost::wait, "synchronize a stream", 0); }
  void synchronizeDevice(const c10::DeviceIndex) const override { write_counts("synchronize"); }

  // An event is the stream that it was recorded in.
  void record(void** event, const c10::Stream& of, const c10::DeviceIndex, const c10::EventFlag) const override {
    if (*event == nullptr) {
      *event = new c10::StreamId;
    }
    *static_cast<c10::StreamId*>(*event) = of.id();
  }
  void destroyEvent(void* event, const c10::DeviceIndex) const noexcept override {
    delete static_cast<c10::StreamId*>(event);
  }
  void block(void* event, const c10::Stream& of) const override {
    refuse_if_recorded(*static_cast<c10::StreamId*>(event), of.id());
  }
  bool queryEvent(void*) const override { return true; }
  void synchronizeEvent(void*) const override { count(Cost::wait, "synchronize an event", 0); }
  double elapsedTime(void*, void*, const c10::DeviceIndex) const override { return 0.0; }
};

}  // namespace

// What seeds and states are asked of; draws come from the CPU's generator (operators.cpp), which is seeded alike. As
// CUDA's it believes that a recording goes on until that has ended well.
struct Generator final : at::CPUGeneratorImpl {
  void graphsafe_set_state(const c10::intrusive_ptr<c10::GeneratorImpl>& other) override {
    is_recorded = static_cast<const Generator&>(*other).is_recorded;
  }
  Generator* clone_impl() const override { return new Generator; }

  bool is_recorded = false;
};

const at::Generator& default_generator() {
  static const at::Generator generator = at::make_generator<Generator>();
  return generator;
}

void set_generator_recorded(bool is_recorded) {
  default_generator().get<Generator>()->is_recorded = is_recorded;
}

bool is_generator_recorded() {
  return default_generator().get<Generator>()->is_recorded;
}

struct Hooks final : at::CUDAHooksInterface {
  explicit Hooks(at::CUDAHooksArgs) {}
  void init() const override {}
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasCUDA() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  int getNumGPUs() const override { return 1; }
  c10::DeviceIndex deviceCount() const override { return 1; }
  c10::DeviceIndex current_device() const override { return 0; }
  c10::DeviceIndex getCurrentDevice() const override { return 0; }
  std::string showConfig() const override { return "a stand-in for CUDA, which computes on the CPU\n"; }

  bool isPinnedPtr(const void* data) const override { return pinned().holds(data); }
  c10::Allocator* getPinnedMemoryAllocator() const override { return &pinned(); }
  void deviceSynchronize(c10::DeviceIndex) const override { write_counts("synchronize"); }

  const at::Generator& getDefaultGenerator(c10::DeviceIndex) const override { return default_generator(); }
  at::Generator getNewGenerator(c10::DeviceIndex) const override {
    return at::make_generator<at::CPUGeneratorImpl>();
  }
};

c10::Allocator* device_memory() {
  return &device_allocator;
}

c10::DataPtr adopt(c10::intrusive_ptr<c10::StorageImpl> storage) {
  struct Owner {
    c10::intrusive_ptr<c10::StorageImpl> storage;
    int64_t bytes;
    std::shared_ptr<GraphMemory> graph;
  };
  const auto bytes = static_cast<int64_t>(storage->nbytes());
  take(bytes);
  void* data = storage->mutable_data();
  DeviceMemory::report(data, bytes);
  const auto free = [](void* context) {
    auto* owner = static_cast<Owner*>(context);
    DeviceMemory::report(owner->storage->mutable_data(), -owner->bytes);
    const auto last = [owner] {
      held -= owner->bytes;
      delete owner;
    };
    const auto graph = std::move(owner->graph);
    if (graph == nullptr || !graph->keep(last)) {
      last();
    }
  };
  return {data, new Owner{std::move(storage), bytes, graph_memory()}, free, device()};
}

int64_t current_stream_id() {
  return current_stream;
}

GraphMemory::~GraphMemory() {
  close();
}

bool GraphMemory::keep(std::function<void()> free) {
  const std::lock_guard guard(lock);
  if (!is_closed) {
    kept.push_back(std::move(free));
  }
  return !is_closed;
}

void GraphMemory::close() {
  std::vector<std::function<void()>> all;
  {
    const std::lock_guard guard(lock);
    is_closed = true;
    all.swap(kept);
  }
  for (const auto& free : all) {
    free();
  }
}

int64_t held_bytes() {
  return held;
}

int64_t peak_bytes() {
  return peak;
}

bool is_pinned(const void* data) {
  return pinned().holds(data);
}

namespace {

const struct Registration {
  Registration() {
    c10::SetAllocator(c10::kCUDA, &device_allocator, 1);
    at::setHostAllocator(c10::kCUDA, &pinned(), 1);
  }
} registration;

}  // namespace
}  // namespace stand_in

namespace at {
using stand_in_hooks = ::stand_in::Hooks;
C10_REGISTER_TYPED_CLASS(CUDAHooksRegistry, "CUDAHooks", stand_in_hooks)
}  // namespace at

C10_REGISTER_GUARD_IMPL(CUDA, stand_in::Guard)
