// In place of the library that sums tensors of GPUs by NCCL (src/tensor/bridge/nccl): the stand-in's tensors lie in host
// memory, where Gloo sums them. SGAS_STAND_IN_NCCL=refused makes it fail as a machine without GPUs does, and =wrong makes
// every sum one that did not arrive.
#define USE_DISTRIBUTED
#define USE_C10D_GLOO
#include <ATen/ATen.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>

#include <cstdlib>
#include <string>

namespace {

struct OnHost final : c10d::Backend {
  OnHost(int rank, int world, c10::intrusive_ptr<c10d::Backend> host, bool is_wrong)
      : c10d::Backend(rank, world), host_(std::move(host)), is_wrong_(is_wrong) {}

  const std::string getBackendName() const override { return "stand-in for nccl"; }

  c10::intrusive_ptr<c10d::Work> allreduce(std::vector<at::Tensor>& tensors, const c10d::AllreduceOptions& options) override {
    std::vector<at::Tensor> here;
    for (const auto& tensor : tensors) {
      TORCH_CHECK(tensor.is_cuda() && tensor.is_contiguous(), "NCCL takes contiguous tensors of GPUs");
      here.push_back(at::from_blob(tensor.data_ptr(), tensor.sizes(), tensor.options().device(at::kCPU)));
      if (is_wrong_) {
        here.back().zero_();
      }
    }
    return host_->allreduce(here, options);
  }

 private:
  c10::intrusive_ptr<c10d::Backend> host_;
  bool is_wrong_;
};

}  // namespace

extern "C" c10d::Backend* sgas_nccl_connect(c10d::Store* store, int64_t rank, int64_t world, int64_t milliseconds) {
  const char* asked = std::getenv("SGAS_STAND_IN_NCCL");
  const std::string how = asked == nullptr ? "" : asked;
  TORCH_CHECK(how != "refused", "NCCL is refused, as it was asked for");
  const auto options = c10d::ProcessGroupGloo::Options::create(std::chrono::milliseconds(milliseconds));
  options->devices.push_back(c10d::ProcessGroupGloo::createDeviceForHostname("127.0.0.1"));
  auto shared = c10::intrusive_ptr<c10d::Store>::reclaim_copy(store);
  auto host = c10::make_intrusive<c10d::ProcessGroupGloo>(
      std::move(shared), static_cast<int>(rank), static_cast<int>(world), options);
  return c10::make_intrusive<OnHost>(static_cast<int>(rank), static_cast<int>(world), std::move(host), how == "wrong").release();
}
