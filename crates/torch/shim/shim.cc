// libtorch functions that tch does not expose, on at::Tensor pointers. Every function catches all C++ exceptions. It
// returns 0, or 1 with a message truncated to the caller's buffer.

#include <ATen/Context.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_fused_adam.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <c10/core/Allocator.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <vector>

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace {

template <typename F>
int guarded(char *message, size_t capacity, F &&body) {
  const char *what = "unknown C++ exception";
  try {
    body();
    return 0;
  } catch (const std::exception &e) {
    what = e.what();
    if (capacity > 0) {
      std::strncpy(message, what, capacity - 1);
      message[capacity - 1] = '\0';
    }
  } catch (...) {
    if (capacity > 0) {
      std::strncpy(message, what, capacity - 1);
      message[capacity - 1] = '\0';
    }
  }
  return 1;
}

// What libtorch's allocators report to its profiler, kept as the bytes that are alive after each event. libtorch hands it
// from the thread of a forward pass to those of the backward pass, hence the lock.
class Meter : public c10::MemoryReportingInfoBase {
 public:
  void reportMemoryUsage(void *, int64_t size, size_t, size_t, c10::Device) override {
    std::lock_guard<std::mutex> guard(mutex);
    alive += size;
    values.push_back(alive);
  }
  void reportOutOfMemory(int64_t, size_t, size_t, c10::Device) override {}
  bool memoryProfilingEnabled() const override { return true; }

  std::mutex mutex;
  int64_t alive = 0;
  std::vector<int64_t> values;
};

}  // namespace

extern "C" {

// One Adam update (arXiv 1412.6980) of one flat buffer in a single pass over memory. `step` counts from 1.
int fewstep_fused_adam(void *param, void *grad, void *exp_avg, void *exp_avg_sq, double step, double lr, double beta1,
                       double beta2, double eps, char *message, size_t capacity) {
  return guarded(message, capacity, [&] {
    at::NoGradGuard guard;
    auto tensor = [](void *p) { return *static_cast<at::Tensor *>(p); };
    at::Tensor p = tensor(param);
    at::Tensor step_tensor = at::full({}, step, at::TensorOptions().dtype(at::kFloat).device(p.device()));
    std::vector<at::Tensor> params{p}, grads{tensor(grad)}, m{tensor(exp_avg)}, v{tensor(exp_avg_sq)}, none,
        steps{step_tensor};
    at::_fused_adam_(params, grads, m, v, none, steps, lr, beta1, beta2, /*weight_decay=*/0.0, eps,
                     /*amsgrad=*/false, /*maximize=*/false);
  });
}

// The L2 norm of all elements, accumulated in f64. Waits for the device.
int fewstep_l2_norm(void *tensor, double *norm, char *message, size_t capacity) {
  return guarded(message, capacity, [&] {
    at::NoGradGuard guard;
    const at::Tensor &t = *static_cast<at::Tensor *>(tensor);
    *norm = at::linalg_vector_norm(t, 2, at::OptionalIntArrayRef(), /*keepdim=*/false, at::kDouble).item<double>();
  });
}

// Bitwise reproducibility on accelerators: deterministic kernels only, no autotuning, and TF32 as requested.
int fewstep_set_reproducible(int deterministic, int tf32, char *message, size_t capacity) {
  return guarded(message, capacity, [&] {
    auto &context = at::globalContext();
    context.setDeterministicAlgorithms(deterministic != 0, /*warn_only=*/true);
    context.setDeterministicCuDNN(deterministic != 0);
    context.setBenchmarkCuDNN(deterministic == 0);
    context.setAllowTF32CuDNN(tf32 != 0);
    context.setAllowTF32CuBLAS(tf32 != 0);
  });
}

// Records what is allocated and freed on this thread from now on.
int fewstep_meter_begin(char *message, size_t capacity) {
  return guarded(message, capacity, [&] {
    c10::ThreadLocalDebugInfo::_push(c10::DebugInfoKind::PROFILER_STATE, std::make_shared<Meter>());
  });
}

// Ends the record that was begun last on this thread: at most `n_values` of its values, and how many there are.
int fewstep_meter_end(int64_t *values, size_t n_values, size_t *length, char *message, size_t capacity) {
  return guarded(message, capacity, [&] {
    auto info = c10::ThreadLocalDebugInfo::_pop(c10::DebugInfoKind::PROFILER_STATE);
    auto *meter = dynamic_cast<Meter *>(info.get());
    if (meter == nullptr) throw std::runtime_error("no record was begun");
    std::lock_guard<std::mutex> guard(meter->mutex);
    *length = meter->values.size();
    std::copy_n(meter->values.begin(), std::min(*length, n_values), values);
  });
}

// The most bytes that the allocator of a CUDA device has held at once.
int fewstep_most_on_cuda(int device, int64_t *bytes, char *message, size_t capacity) {
  return guarded(message, capacity, [&] {
    auto stats = c10::getDeviceAllocator(c10::DeviceType::CUDA)->getDeviceStats(static_cast<c10::DeviceIndex>(device));
    *bytes = stats.reserved_bytes[0].peak;
  });
}

// Gives memory that was freed back to the system, where the C library keeps it.
int fewstep_release_freed(char *message, size_t capacity) {
  return guarded(message, capacity, [] {
#ifdef __GLIBC__
    malloc_trim(0);
#endif
  });
}

}  // extern "C"
