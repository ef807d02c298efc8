// Processes that share a run: how they find each other (c10d's TCP store), and sums over them (Gloo, and NCCL between
// GPUs).
#include "group.h"

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <c10/util/Flags.h>

#include <dlfcn.h>

#include <cstdlib>
#include <mutex>
#include <string>
#include <thread>

C10_DECLARE_int(caffe2_log_level);

namespace sgas {

namespace {

// More sums than these are not begun before an earlier one has ended.
constexpr size_t most_pending = 4096;

// Forgets the sums on GPUs that have ended; an error where one failed, or does not end in time.
void look_after(Group& group, size_t most) {
  const auto began = std::chrono::steady_clock::now();
  while (!group.pending.empty()) {
    auto& oldest = *group.pending.front();
    if (oldest.isCompleted()) {
      if (const auto failure = oldest.exception()) {
        std::rethrow_exception(failure);
      }
      group.pending.pop_front();
    } else if (group.pending.size() <= most) {
      return;
    } else {
      const auto waited = std::chrono::steady_clock::now() - began;
      TORCH_CHECK(waited < group.patience, "a sum over the GPUs did not end in time");
      std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
  }
}

}  // namespace

c10::intrusive_ptr<c10d::Work> begin_sum(Group& group, const at::Tensor& tensor) {
  std::vector<at::Tensor> tensors{tensor};
  if (!tensor.is_cpu()) {
    look_after(group, most_pending);
    return group.on_gpus->allreduce(tensors);
  }
  // c10d keeps one record of the sums of all groups of a process, and enters a new group into it without a lock.
  static std::mutex entering;
  const std::lock_guard<std::mutex> one_at_a_time(entering);
  return group.in_host->allreduce(tensors);
}

void end_sum(Group& group, const c10::intrusive_ptr<c10d::Work>& work, const at::Tensor& tensor) {
  work->wait();
  if (!tensor.is_cpu()) {
    group.pending.push_back(work);
  }
}

void all_reduce(Group& group, at::Tensor tensor) {
  const at::Tensor whole = group.sums_beside(tensor) ? tensor.contiguous() : tensor.to(at::kCPU).contiguous();
  end_sum(group, begin_sum(group, whole), whole);
  if (!whole.is_same(tensor)) {
    tensor.copy_(whole);
  }
}

namespace {

c10::intrusive_ptr<c10d::TCPStore> connect_store(const char* host, int64_t port, int serves, int64_t milliseconds) {
  // What goes wrong is told by exceptions; c10d tells it with all frames of the stack besides.
  if (std::getenv("TORCH_CPP_LOG_LEVEL") == nullptr) {
    FLAGS_caffe2_log_level = 3;
  }
  c10d::TCPStoreOptions options;
  options.port = static_cast<uint16_t>(port);
  options.isServer = serves != 0;
  options.waitWorkers = false;
  options.timeout = std::chrono::milliseconds(milliseconds);
  return c10::make_intrusive<c10d::TCPStore>(std::string(host), options);
}

using NcclConnect = c10d::Backend*(c10d::Store*, int64_t, int64_t, int64_t);

// NCCL's group comes from a library of its own (nccl/process_group.cpp): it needs symbols of libtorch_cuda, which this
// program does without, so that must have been loaded.
NcclConnect* nccl_connect() {
  void* const library = dlopen("libsgas_nccl.so", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    throw std::runtime_error(dlerror());
  }
  auto* const connect = reinterpret_cast<NcclConnect*>(dlsym(library, "sgas_nccl_connect"));
  TORCH_CHECK(connect != nullptr, "libsgas_nccl.so is not of this program: it lacks sgas_nccl_connect");
  return connect;
}

std::vector<uint8_t> bytes(const char* text) {
  return std::vector<uint8_t>(text, text + std::strlen(text));
}

}  // namespace
}  // namespace sgas

extern "C" {

// Opens the store at this place, or joins it; keys begin with `prefix`. Gives the port, which for 0 is a free one.
char* sgas_group_open(sgas::Group** out, int64_t* found_port, const char* host, int64_t port, int serves,
                      const char* prefix, int64_t milliseconds) {
  return sgas::guarded([&] {
    auto store = sgas::connect_store(host, port, serves, milliseconds);
    *found_port = store->getPort();
    auto* group = new sgas::Group;
    group->store = c10::make_intrusive<c10d::PrefixStore>(std::string(prefix), std::move(store));
    *out = group;
  });
}

void sgas_group_close(sgas::Group* group) {
  delete group;
}

char* sgas_group_set(sgas::Group* group, const char* key, const char* value) {
  return sgas::guarded([&] { group->store->set(key, sgas::bytes(value)); });
}

// Whether a key is set.
char* sgas_group_has(sgas::Group* group, const char* key, int* found) {
  return sgas::guarded([&] { *found = group->store->check({key}) ? 1 : 0; });
}

// The text of a key that is set, for `sgas_free_text`.
char* sgas_group_get(sgas::Group* group, const char* key, char** value) {
  return sgas::guarded([&] {
    const auto found = group->store->get(key);
    *value = sgas::copy_text(std::string(found.begin(), found.end()).c_str());
  });
}

// Connects all processes of a store; `own_host` is this machine's name or address as the others reach it. Where it is
// null, GLOO_SOCKET_IFNAME may name the network interface, as for PyTorch.
char* sgas_group_connect(
    sgas::Group* group, int64_t rank, int64_t world, const char* own_host, int64_t milliseconds) {
  return sgas::guarded([&] {
    const auto options = c10d::ProcessGroupGloo::Options::create(std::chrono::milliseconds(milliseconds));
    using Gloo = c10d::ProcessGroupGloo;
    const char* interface = std::getenv("GLOO_SOCKET_IFNAME");
    options->devices.push_back(own_host != nullptr    ? Gloo::createDeviceForHostname(own_host)
                               : interface != nullptr ? Gloo::createDeviceForInterface(interface)
                                                      : Gloo::createDefaultDevice());
    group->patience = std::chrono::milliseconds(milliseconds);
    group->in_host = c10::make_intrusive<c10d::ProcessGroupGloo>(
        group->store, static_cast<int>(rank), static_cast<int>(world), options);
  });
}

// Whether tensors of GPUs can be summed by NCCL: the library is there and loads.
char* sgas_nccl_load() {
  return sgas::guarded([&] { sgas::nccl_connect(); });
}

// Lets tensors of GPUs be summed by NCCL. All processes must call it, each with a GPU of its own.
char* sgas_group_connect_gpus(sgas::Group* group, int64_t rank, int64_t world) {
  return sgas::guarded([&] {
    // NCCL's own keys, beside Gloo's.
    const auto store = c10::make_intrusive<c10d::PrefixStore>("nccl", group->store);
    auto* const backend = sgas::nccl_connect()(store.get(), rank, world, group->patience.count());
    group->on_gpus = c10::intrusive_ptr<c10d::Backend>::reclaim(backend);
  });
}

// From now on tensors of GPUs go through host memory again.
char* sgas_group_leave_gpus(sgas::Group* group) {
  return sgas::guarded([&] {
    group->pending.clear();
    if (group->on_gpus.defined()) {
      group->on_gpus->abort();
      group->on_gpus.reset();
    }
  });
}

char* sgas_group_all_reduce(sgas::Group* group, at::Tensor* tensor) {
  return sgas::guarded([&] { sgas::all_reduce(*group, *tensor); });
}

}  // extern "C"
