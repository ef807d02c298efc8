// CUDA graphs: work that the device was given is recorded once and given again as a whole.
//
// libtorch's class for them has headers that need CUDA's, which building this program does not. Its members are looked up
// in libtorch_cuda by the names that the compiler gave them.
#include "bridge.h"

#include <ATen/Context.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>

#include <atomic>
#include <memory>
#include <utility>

namespace sgas {
namespace {

using Pool = std::pair<unsigned long long, unsigned long long>;

template <class Function>
Function* member(const char* name) {
  void* const found = dlsym(RTLD_DEFAULT, name);
  TORCH_CHECK(found != nullptr, "this libtorch has no ", name);
  return reinterpret_cast<Function*>(found);
}

struct Members {
  void (&construct)(void*, bool) = *member<void(void*, bool)>("_ZN2at4cuda9CUDAGraphC1Eb");
  void (&destroy)(void*) = *member<void(void*)>("_ZN2at4cuda9CUDAGraphD1Ev");
  void (&begin)(void*, Pool, int) =
      *member<void(void*, Pool, int)>("_ZN2at4cuda9CUDAGraph13capture_beginESt4pairIyyE21cudaStreamCaptureMode");
  void (&end)(void*) = *member<void(void*)>("_ZN2at4cuda9CUDAGraph11capture_endEv");
  void (&replay)(void*) = *member<void(void*)>("_ZN2at4cuda9CUDAGraph6replayEv");
};

const Members& members() {
  static const Members found;
  return found;
}

// Other threads may do meanwhile what this one may not, such as taking pinned memory (cudaStreamCaptureModeThreadLocal).
constexpr int of_this_thread = 1;

std::atomic<bool> broke_off = false;

class Capture {
 public:
  explicit Capture(c10::Device device) : device(device) { members().construct(object, false); }
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;

  ~Capture() {
    if (is_recording) {
      try {
        end();
      } catch (const std::exception&) {
        // What was recorded so far is thrown away.
      }
    }
    stream.reset();
    members().destroy(object);
  }

  // From here on this thread's work on the device is recorded and not done.
  void begin() {
    const c10::impl::VirtualGuardImpl of_device(device.type());
    of_device.synchronizeDevice(device.index());
    // What is recorded has memory of its own, and what the same work took before is not needed any more.
    c10::getDeviceAllocator(device.type())->emptyCache();
    stream = std::make_unique<c10::StreamGuard>(of_device.getStreamFromGlobalPool(device));
    members().begin(object, Pool{0, 0}, of_this_thread);
    is_recording = true;
  }

  void end() {
    // It has ended also where this throws.
    is_recording = false;
    try {
      members().end(object);
    } catch (const std::exception&) {
      stream.reset();
      clean_up();
      throw;
    }
    stream.reset();
  }

  void replay() {
    const c10::DeviceGuard guard(device);
    members().replay(object);
  }

 private:
  // What libtorch leaves of a recording that CUDA broke off: a generator that refuses every draw, and an allocator that
  // waits for the end before it gives memory of other streams back.
  void clean_up() const {
    broke_off = true;
    const at::Generator& generator = at::globalContext().defaultGenerator(device);
    at::Generator(generator).graphsafe_set_state(generator.clone());
  }

  // Far more than the class takes.
  static constexpr size_t room = 8192;
  c10::Device device;
  bool is_recording = false;
  alignas(64) char object[room] = {};
  // Recording needs a stream that is not the usual one.
  std::unique_ptr<c10::StreamGuard> stream;
};

}  // namespace

bool a_recording_broke_off() {
  return broke_off;
}

}  // namespace sgas

extern "C" {

// 1 where libtorch's CUDA part is loaded and has what recording takes.
int sgas_capture_is_there() {
  char* const missing = sgas::guarded([] { sgas::members(); });
  sgas_free_text(missing);
  return missing == nullptr ? 1 : 0;
}

char* sgas_capture_begin(sgas::Capture** out, int device) {
  return sgas::guarded([&] {
    auto capture = std::make_unique<sgas::Capture>(c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(device)));
    capture->begin();
    *out = capture.release();
  });
}

char* sgas_capture_end(sgas::Capture* capture) {
  return sgas::guarded([&] { capture->end(); });
}

char* sgas_capture_replay(sgas::Capture* capture) {
  return sgas::guarded([&] { capture->replay(); });
}

char* sgas_capture_free(sgas::Capture* capture) {
  return sgas::guarded([&] { delete capture; });
}

}  // extern "C"
