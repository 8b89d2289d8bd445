// How much memory libtorch holds, and giving back what it does not.

#include <c10/core/Allocator.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <vector>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "guard.h"

namespace {

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
