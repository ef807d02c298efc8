// CUDA graphs: what is given to a stream while it is recorded is kept, and done again at every replay. As on a GPU nothing
// counts as done before: what recording changed is put back, and memory that was taken meanwhile stays the graph's.
#include "stand_in.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>

#include <algorithm>
#include <utility>

enum cudaStreamCaptureMode : int {};

namespace stand_in {
namespace {

// The one that is recorded, if any; of one stream.
Recording* active = nullptr;

thread_local bool replaying = false;

}  // namespace

Recording* recording() {
  return active != nullptr && active->stream == current_stream_id() ? active : nullptr;
}

void refuse_if_recorded(int64_t stream, int64_t waiting) {
  if (active != nullptr && active->stream == stream && waiting == 0) {
    active->is_broken = true;
    TORCH_CHECK(false, "CUDA error: operation would make the legacy stream depend on a capturing blocking stream");
  }
}

Undo::Undo(const std::vector<at::Tensor>& written) {
  if (recording() == nullptr) {
    return;
  }
  for (const auto& tensor : written) {
    const auto& storage = tensor.storage();
    const auto* from = static_cast<const char*>(storage.data());
    kept.emplace_back(storage, std::vector<char>(from, from + storage.nbytes()));
  }
}

Undo::~Undo() {
  for (auto& [storage, content] : kept) {
    // A call that gave its result more room wrote nothing into the old one.
    if (storage.nbytes() == content.size()) {
      std::copy(content.begin(), content.end(), static_cast<char*>(storage.mutable_data()));
    }
  }
}

bool is_replaying() {
  return replaying;
}

}  // namespace stand_in

namespace at::cuda {

// As libtorch's class is called; the program looks its members up by their names.
struct __attribute__((visibility("default"))) CUDAGraph {
  explicit CUDAGraph(bool keep);
  ~CUDAGraph();
  void capture_begin(std::pair<unsigned long long, unsigned long long> pool, cudaStreamCaptureMode mode);
  void capture_end();
  void replay();

  stand_in::Recording* own;
  at::Tensor numbers_drawn;
};

CUDAGraph::CUDAGraph(bool) : own(new stand_in::Recording) {}

CUDAGraph::~CUDAGraph() {
  own->steps.clear();
  own->memory->close();
  delete own;
}

void CUDAGraph::capture_begin(std::pair<unsigned long long, unsigned long long>, cudaStreamCaptureMode) {
  TORCH_CHECK(stand_in::active == nullptr, "another graph is recorded");
  TORCH_CHECK(stand_in::current_stream_id() != 0, "the default stream can't be recorded");
  numbers_drawn = at::detail::getDefaultCPUGenerator().get_state();
  own->stream = stand_in::current_stream_id();
  stand_in::active = own;
  stand_in::set_generator_recorded(true);
}

void CUDAGraph::capture_end() {
  stand_in::active = nullptr;
  TORCH_CHECK(!own->is_broken, "CUDA error: operation failed due to a previous error during capture");
  stand_in::set_generator_recorded(false);
  at::Generator generator = at::detail::getDefaultCPUGenerator();
  generator.set_state(numbers_drawn);
}

void CUDAGraph::replay() {
  stand_in::count(stand_in::Cost::operation, "replay of a CUDA graph", 0);
  stand_in::replaying = true;
  for (const auto& step : own->steps) {
    step();
  }
  stand_in::replaying = false;
}

}  // namespace at::cuda
