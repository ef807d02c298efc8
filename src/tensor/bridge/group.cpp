// Processes that share a run: how they find each other (c10d's TCP store), and sums over them (Gloo).
#include "group.h"

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <c10/util/Flags.h>

#include <cstdlib>
#include <mutex>
#include <string>

C10_DECLARE_int(caffe2_log_level);

namespace sgas {

void all_reduce(Group& group, at::Tensor tensor) {
  // Gloo reads memory as it lies, of a processor's tensors.
  at::Tensor whole = tensor.is_cpu() ? tensor.contiguous() : tensor.to(at::kCPU).contiguous();
  std::vector<at::Tensor> tensors{whole};
  // c10d keeps one record of the sums of all groups of a process, and enters a new group into it without a lock.
  static std::mutex entering;
  const auto work = [&] {
    const std::lock_guard<std::mutex> one_at_a_time(entering);
    return group.backend->allreduce(tensors);
  }();
  work->wait();
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
    group->backend = c10::make_intrusive<c10d::ProcessGroupGloo>(
        group->store, static_cast<int>(rank), static_cast<int>(world), options);
  });
}

char* sgas_group_all_reduce(sgas::Group* group, at::Tensor* tensor) {
  return sgas::guarded([&] { sgas::all_reduce(*group, *tensor); });
}

}  // extern "C"
