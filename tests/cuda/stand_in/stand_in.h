// A stand-in for libtorch_cuda.so on machines without a GPU: tensors of "cuda:0" lie in host memory, and the CPU's
// kernels compute with them. libtorch's dispatcher, its lists of autocast for CUDA, autograd's thread for the device
// and every branch on `is_cuda()` are the real ones. ARCHITECTURE.md says what it shows and what it cannot.
//
// device.cpp: memory, pinned host memory, streams, events, and what libtorch asks of a device
// operators.cpp: every operator, computed by the CPU's kernel over the same memory
// capture.cpp: CUDA graphs
// driver.cpp: kernels of the program, run by the executor (executor.h)
// counts.cpp: what was called, and a check of what came out
//
// Variables of the environment:
//   SGAS_STAND_IN_COUNTS=FILE  appends counts of operators, at the end and where the program waits for the device
//   SGAS_STAND_IN_CHECK=1      an operator that makes NaN or infinity of finite numbers is an error (counts.cpp)
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/stack.h>
#include <c10/core/Allocator.h>

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace stand_in {

inline c10::Device device() {
  return {c10::kCUDA, 0};
}

// device.cpp: memory of the device, filled with NaN when it is taken.
c10::Allocator* device_memory();

// device.cpp: the bytes of a CPU tensor's storage, now owned and counted as the device's.
c10::DataPtr adopt(c10::intrusive_ptr<c10::StorageImpl> storage);

// device.cpp: bytes held on the device, and the most since the last reset.
int64_t held_bytes();
int64_t peak_bytes();

// device.cpp: true where a pointer lies in pinned host memory.
bool is_pinned(const void* data);

// device.cpp: the stream that the calls of this thread go to; 0 is the default one.
int64_t current_stream_id();

// device.cpp: whether the device's generator believes that its draws are recorded.
void set_generator_recorded(bool is_recorded);
bool is_generator_recorded();

// device.cpp: memory that was taken while a graph was recorded is freed with the graph, whoever gives it back before.
class GraphMemory {
 public:
  ~GraphMemory();
  // Takes over what would be freed; not when the graph is gone.
  bool keep(std::function<void()> free);
  void close();

 private:
  std::mutex lock;
  bool is_closed = false;
  std::vector<std::function<void()>> kept;
};

// capture.cpp: a CUDA graph.
struct Recording {
  int64_t stream = 0;
  bool is_broken = false;
  std::vector<std::function<void()>> steps;
  std::shared_ptr<GraphMemory> memory = std::make_shared<GraphMemory>();
};

// The one that this thread's calls are recorded in, if any.
Recording* recording();

// As CUDA: where the default stream is to wait for what another stream records, the recording breaks off with an error.
void refuse_if_recorded(int64_t stream, int64_t waiting);

// Puts back what a call writes into these tensors of the device while it is recorded.
class Undo {
 public:
  explicit Undo(const std::vector<at::Tensor>& written);
  ~Undo();

 private:
  std::vector<std::pair<c10::Storage, std::vector<char>>> kept;
};

// True while this thread does what was recorded, which is no call of its own.
bool is_replaying();

// counts.cpp: what a call costs on CUDA.
enum class Cost {
  view,      // nothing: a tensor over the memory of another
  operation, // the device is given work, and the program goes on
  wait,      // the program stands still until the device is done
};

void count(Cost cost, const std::string& name, int64_t bytes);

// counts.cpp: writes the counts so far, with what they lead up to, and begins anew.
void write_counts(const char* up_to);

// counts.cpp: bytes that lie in memory; an expanded dimension counts once.
int64_t bytes_of(const at::Tensor& tensor);

// counts.cpp: the check of SGAS_STAND_IN_CHECK around one operator.
class FiniteCheck {
 public:
  // Looks at the arguments, the last `count` values of the stack.
  FiniteCheck(const torch::jit::Stack& stack, size_t count, const std::string& name);
  // Throws where one of the last `count` values is not finite though all arguments were.
  void look_at_results(const torch::jit::Stack& stack, size_t count) const;

 private:
  std::string name;
  bool is_active = false;
};

}  // namespace stand_in
