// Several processes as one: c10d's TCPStore for small texts, its gloo process group for tensors on the CPU. Tensors on a
// GPU go through nccl.cc. Handles are owned by the caller, who gives each back once.

#include "guard.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <c10/util/Logging.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace {

using Milliseconds = std::chrono::milliseconds;

struct StoreHandle {
  c10::intrusive_ptr<c10d::TCPStore> tcp;
  // Keys of one group of workers: a store that outlives them has those of the next beside them.
  c10::intrusive_ptr<c10d::Store> keys;
};

struct GlooHandle {
  c10::intrusive_ptr<c10d::ProcessGroupGloo> group;
};

// c10d logs every failure with a backtrace before it throws. The errors come through the exceptions; the log is for who asks
// for it by libtorch's own variable.
void keep_log_quiet() {
  static std::once_flag once;
  std::call_once(once, [] {
    if (!std::getenv("TORCH_CPP_LOG_LEVEL")) {
      FLAGS_caffe2_log_level = 3;
    }
  });
}

std::vector<at::Tensor> only(void *pointer) {
  const at::Tensor &tensor = *static_cast<at::Tensor *>(pointer);
  TORCH_CHECK(tensor.is_contiguous() && tensor.is_cpu(), "the tensor is not contiguous on the CPU");
  return {tensor};
}

}  // namespace

extern "C" {

// A store: the one that serves, at a free port if `port` is 0, or a connection to it.
int fewstep_store_open(const char *host, int port, int serves, const char *prefix, int64_t timeout_ms, void **store,
                       char *message, size_t capacity) {
  return guarded(message, capacity, [&] {
    keep_log_quiet();
    c10d::TCPStoreOptions options;
    options.port = static_cast<std::uint16_t>(port);
    options.isServer = serves != 0;
    options.waitWorkers = false;
    options.timeout = Milliseconds(timeout_ms);
    auto handle = std::make_unique<StoreHandle>();
    handle->tcp = c10::make_intrusive<c10d::TCPStore>(host, options);
    handle->keys = c10::make_intrusive<c10d::PrefixStore>(prefix, handle->tcp);
    *store = handle.release();
  });
}

void fewstep_store_close(void *store) {
  try {
    delete static_cast<StoreHandle *>(store);
  } catch (...) {
    // A connection that breaks while it is closed is closed.
  }
}

int fewstep_store_port(void *store) { return static_cast<StoreHandle *>(store)->tcp->getPort(); }

int fewstep_store_set(void *store, const char *key, const uint8_t *value, size_t length, char *message,
                      size_t capacity) {
  return guarded(message, capacity, [&] {
    static_cast<StoreHandle *>(store)->keys->set(key, std::vector<uint8_t>(value, value + length));
  });
}

int fewstep_store_add(void *store, const char *key, int64_t amount, int64_t *sum, char *message, size_t capacity) {
  return guarded(message, capacity, [&] { *sum = static_cast<StoreHandle *>(store)->keys->add(key, amount); });
}

// The value of a key, if it is there: `sink` is called with it at most once.
int fewstep_store_get(void *store, const char *key, void (*sink)(void *, const uint8_t *, size_t), void *into,
                      char *message, size_t capacity) {
  return guarded(message, capacity, [&] {
    auto &keys = static_cast<StoreHandle *>(store)->keys;
    if (keys->check({key})) {
      const std::vector<uint8_t> value = keys->get(key);
      sink(into, value.data(), value.size());
    }
  });
}

// Connects with all workers of the store, over the interface or the address given, or over that of the machine's name.
int fewstep_gloo_open(void *store, int rank, int size, const char *interface, const char *address, int64_t timeout_ms,
                      void **group, char *message, size_t capacity) {
  return guarded(message, capacity, [&] {
    auto options = c10d::ProcessGroupGloo::Options::create(Milliseconds(timeout_ms));
    using Gloo = c10d::ProcessGroupGloo;
    options->devices.push_back(interface ? Gloo::createDeviceForInterface(interface)
                               : address ? Gloo::createDeviceForHostname(address)
                                         : Gloo::createDefaultDevice());
    // One thread runs the collectives, one after another.
    options->threads = 1;
    auto keys = c10::make_intrusive<c10d::PrefixStore>("gloo", static_cast<StoreHandle *>(store)->keys);
    auto handle = std::make_unique<GlooHandle>();
    handle->group = c10::make_intrusive<Gloo>(keys, rank, size, options);
    *group = handle.release();
  });
}

void fewstep_gloo_close(void *group) {
  try {
    delete static_cast<GlooHandle *>(group);
  } catch (...) {
    // As above.
  }
}

// The sum over all workers, in place. `tensor` is contiguous and on the CPU.
int fewstep_gloo_all_reduce(void *group, void *tensor, int64_t timeout_ms, char *message, size_t capacity) {
  return guarded(message, capacity, [&] {
    at::NoGradGuard guard;
    auto tensors = only(tensor);
    c10d::AllreduceOptions options;
    options.timeout = Milliseconds(timeout_ms);
    static_cast<GlooHandle *>(group)->group->allreduce(tensors, options)->wait();
  });
}

// The values of worker `root`, in place.
int fewstep_gloo_broadcast(void *group, void *tensor, int root, int64_t timeout_ms, char *message, size_t capacity) {
  return guarded(message, capacity, [&] {
    at::NoGradGuard guard;
    auto tensors = only(tensor);
    c10d::BroadcastOptions options;
    options.rootRank = root;
    options.timeout = Milliseconds(timeout_ms);
    static_cast<GlooHandle *>(group)->group->broadcast(tensors, options)->wait();
  });
}

}  // extern "C"
