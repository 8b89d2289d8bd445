// Collectives of tensors on a GPU, by the NCCL that libtorch's CUDA library has brought into the process. Its C interface
// is called, found by name: the program is linked with a libtorch without CUDA. c10d's ProcessGroupNCCL would need the
// layout of C++ classes whose headers that libtorch cannot compile, and a thread of its own that aborts the process when a
// peer is late. Numbers of types and operations are those of nccl.h, which has kept them since version 2.0.

#include "guard.h"

#include <ATen/core/Tensor.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>

#include <chrono>
#include <dlfcn.h>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

namespace {

using Communicator = void *;

struct UniqueId {
  char bytes[128];
};

constexpr int SUCCESS = 0;
constexpr int IN_PROGRESS = 7;
constexpr int SUM = 0;

struct Nccl {
  int (*get_unique_id)(UniqueId *);
  int (*init)(Communicator *, int, UniqueId, int);
  int (*all_reduce)(const void *, void *, size_t, int, int, Communicator, void *);
  int (*broadcast)(const void *, void *, size_t, int, int, Communicator, void *);
  int (*async_error)(Communicator, int *);
  int (*abort)(Communicator);
  const char *(*error)(int);

  static const Nccl &get() {
    static const Nccl nccl;
    return nccl;
  }

  void check(int code, const char *what) const {
    if (code != SUCCESS && code != IN_PROGRESS) {
      throw std::runtime_error(std::string("NCCL, in ") + what + ": " + error(code));
    }
  }

 private:
  Nccl() {
    void *library = dlopen("libnccl.so.2", RTLD_NOW | RTLD_GLOBAL);
    if (!library) {
      throw std::runtime_error(std::string("workers on GPUs need NCCL: ") + dlerror());
    }
    find(library, "ncclGetUniqueId", get_unique_id);
    find(library, "ncclCommInitRank", init);
    find(library, "ncclAllReduce", all_reduce);
    find(library, "ncclBroadcast", broadcast);
    find(library, "ncclCommGetAsyncError", async_error);
    find(library, "ncclCommAbort", abort);
    find(library, "ncclGetErrorString", error);
  }

  template <typename F>
  static void find(void *library, const char *name, F &function) {
    function = reinterpret_cast<F>(dlsym(library, name));
    if (!function) {
      throw std::runtime_error(std::string("libnccl.so.2 has no function ") + name);
    }
  }
};

int type_of(const at::Tensor &tensor) {
  switch (tensor.scalar_type()) {
    case at::kByte:
      return 1;
    case at::kInt:
      return 2;
    case at::kLong:
      return 4;
    case at::kHalf:
      return 6;
    case at::kFloat:
      return 7;
    case at::kDouble:
      return 8;
    case at::kBFloat16:
      return 9;
    default:
      throw std::runtime_error("NCCL has no such kind of number");
  }
}

struct NcclHandle {
  Communicator communicator = nullptr;
  ~NcclHandle() {
    if (communicator) {
      Nccl::get().abort(communicator);
    }
  }
};

// Puts a collective on the tensor's current stream, and waits for it: a peer that is gone must become an error here.
template <typename F>
void run(NcclHandle &handle, const at::Tensor &tensor, int64_t timeout_ms, const char *what, F &&start) {
  const Nccl &nccl = Nccl::get();
  TORCH_CHECK(tensor.is_contiguous(), "the tensor is not contiguous");
  if (!handle.communicator) {
    throw std::runtime_error("an earlier collective failed");
  }
  const c10::DeviceGuard guard(tensor.device());
  const auto *device = c10::impl::getDeviceGuardImpl(tensor.device().type());
  const c10::Stream stream = device->getStream(tensor.device());
  const auto fail = [&](const std::string &why) {
    nccl.abort(handle.communicator);
    handle.communicator = nullptr;
    throw std::runtime_error(why);
  };
  nccl.check(start(handle.communicator, device->getStreamNativeHandle(stream)), what);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
  for (int turn = 0; !device->queryStream(stream); ++turn) {
    int code = SUCCESS;
    nccl.check(nccl.async_error(handle.communicator, &code), "ncclCommGetAsyncError");
    if (code != SUCCESS && code != IN_PROGRESS) {
      fail(std::string("NCCL, in ") + what + ": " + nccl.error(code));
    }
    if (std::chrono::steady_clock::now() > deadline) {
      fail(std::string("NCCL, in ") + what + ": timed out");
    }
    // A collective takes milliseconds or less: the first turns do not sleep.
    if (turn > 1000) {
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
  }
}

}  // namespace

extern "C" {

// What rank 0 makes and all workers of a communicator are told, 128 bytes.
int fewstep_nccl_id(uint8_t *id, char *message, size_t capacity) {
  return guarded(message, capacity, [&] {
    UniqueId made;
    Nccl::get().check(Nccl::get().get_unique_id(&made), "ncclGetUniqueId");
    std::memcpy(id, made.bytes, sizeof made.bytes);
  });
}

int fewstep_nccl_open(const uint8_t *id, int rank, int size, int device, void **communicator, char *message,
                      size_t capacity) {
  return guarded(message, capacity, [&] {
    const c10::DeviceGuard guard(c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(device)));
    UniqueId told;
    std::memcpy(told.bytes, id, sizeof told.bytes);
    auto handle = std::make_unique<NcclHandle>();
    Nccl::get().check(Nccl::get().init(&handle->communicator, size, told, rank), "ncclCommInitRank");
    *communicator = handle.release();
  });
}

void fewstep_nccl_close(void *communicator) { delete static_cast<NcclHandle *>(communicator); }

int fewstep_nccl_all_reduce(void *communicator, void *tensor, int64_t timeout_ms, char *message, size_t capacity) {
  return guarded(message, capacity, [&] {
    const at::Tensor &t = *static_cast<at::Tensor *>(tensor);
    const int type = type_of(t);
    run(*static_cast<NcclHandle *>(communicator), t, timeout_ms, "ncclAllReduce", [&](Communicator c, void *stream) {
      return Nccl::get().all_reduce(t.data_ptr(), t.data_ptr(), t.numel(), type, SUM, c, stream);
    });
  });
}

int fewstep_nccl_broadcast(void *communicator, void *tensor, int root, int64_t timeout_ms, char *message,
                           size_t capacity) {
  return guarded(message, capacity, [&] {
    const at::Tensor &t = *static_cast<at::Tensor *>(tensor);
    const int type = type_of(t);
    run(*static_cast<NcclHandle *>(communicator), t, timeout_ms, "ncclBroadcast", [&](Communicator c, void *stream) {
      return Nccl::get().broadcast(t.data_ptr(), t.data_ptr(), t.numel(), type, root, c, stream);
    });
  });
}

}  // extern "C"
