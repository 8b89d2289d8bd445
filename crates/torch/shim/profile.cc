// Which of libtorch's operations ran, how often, for how long, and how many products they computed, by the observers that
// PyTorch's own profiler uses.

#include <ATen/record_function.h>

#include <chrono>
#include <cstdio>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "guard.h"

namespace {

using Clock = std::chrono::steady_clock;

struct Seen {
  int64_t calls = 0;
  double seconds = 0;  // without the operations inside
  double flops = 0;
};

std::mutex lock;
std::map<std::string, Seen> *seen = nullptr;
at::CallbackHandle handle = at::INVALID_CALLBACK_HANDLE;

// Seconds of the operations inside the ones that are running on this thread.
thread_local std::vector<double> inside;

// Multiplications and additions of an operation that others end in.
struct Work {
  double flops = 0;
  double per_output = 0;  // for each value of the first output
};

// Inputs are there at the beginning only, and outputs at the end.
Work work_of(const std::string &name, c10::ArrayRef<const c10::IValue> in) {
  const auto tensor = [&](size_t i) { return in[i].toTensor(); };
  const auto kernel = [](const at::Tensor &w) { return 2.0 * double(w.numel()) / double(w.size(0)); };
  const auto product = [](const at::Tensor &a, const at::Tensor &b) {
    return Work{2.0 * double(a.numel()) * double(b.size(-1))};
  };
  const auto attention = [](double products, const at::Tensor &q, const at::Tensor &k) {
    return Work{products * 2.0 * double(q.numel()) * double(k.size(2))};
  };
  if (name == "aten::convolution") return {0, kernel(tensor(1))};
  if (name == "aten::convolution_backward") {
    const auto wanted = in[in.size() - 1].toBoolList();
    return {kernel(tensor(2)) * double(tensor(0).numel()) * (int(wanted[0]) + int(wanted[1]))};
  }
  if (name == "aten::addmm" || name == "aten::baddbmm") return product(tensor(1), tensor(2));
  if (name == "aten::mm" || name == "aten::bmm") return product(tensor(0), tensor(1));
  // Two products forward. Backward one of them again, and two for each.
  if (name == "aten::_scaled_dot_product_flash_attention_for_cpu") return attention(2, tensor(0), tensor(1));
  if (name == "aten::_scaled_dot_product_flash_attention_for_cpu_backward") return attention(5, tensor(1), tensor(2));
  return {};
}

struct Running : at::ObserverContext {
  std::string name;
  Work work;
  Clock::time_point start;
};

std::unique_ptr<at::ObserverContext> begin(const at::RecordFunction &fn) {
  auto running = std::make_unique<Running>();
  running->name = fn.name();
  running->work = work_of(running->name, fn.inputs());
  inside.push_back(0);
  running->start = Clock::now();
  return running;
}

void end(const at::RecordFunction &fn, at::ObserverContext *context) {
  const auto &running = *static_cast<Running *>(context);
  const double all = std::chrono::duration<double>(Clock::now() - running.start).count();
  const double own = all - inside.back();
  inside.pop_back();
  if (!inside.empty()) inside.back() += all;
  double flops = running.work.flops;
  if (running.work.per_output > 0 && !fn.outputs().empty()) {
    flops += running.work.per_output * double(fn.outputs()[0].toTensor().numel());
  }
  std::lock_guard<std::mutex> guard(lock);
  if (!seen) return;
  Seen &entry = (*seen)[running.name];
  entry.calls += 1;
  entry.seconds += own;
  entry.flops += flops;
}

}  // namespace

extern "C" {

// From here on every operation of every thread is observed.
int fewstep_profile_start(char *message, size_t capacity) {
  return guarded(message, capacity, [&] {
    {
      std::lock_guard<std::mutex> guard(lock);
      TORCH_CHECK(!seen, "a profile is being taken");
      seen = new std::map<std::string, Seen>();
    }
    handle = at::addGlobalCallback(
        at::RecordFunctionCallback(begin, end).needsInputs(true).needsOutputs(true).scopes({at::RecordScope::FUNCTION}));
  });
}

// Ends it and hands each operation to `each`, by name.
int fewstep_profile_end(void *to, void (*each)(void *to, const char *name, int64_t calls, double seconds, double flops),
                        char *message, size_t capacity) {
  return guarded(message, capacity, [&] {
    at::removeCallback(handle);
    std::lock_guard<std::mutex> guard(lock);
    TORCH_CHECK(seen, "no profile is being taken");
    for (const auto &[name, entry] : *seen) each(to, name.c_str(), entry.calls, entry.seconds, entry.flops);
    delete seen;
    seen = nullptr;
  });
}

}  // extern "C"
