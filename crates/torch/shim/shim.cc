// libtorch functions that tch does not expose, on at::Tensor pointers. Every function catches all C++ exceptions. It
// returns 0, or 1 with a message truncated to the caller's buffer.

#include <ATen/Context.h>
#include <ATen/Version.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_fused_adam.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linalg_vector_norm.h>

#include <torch/version.h>

#include <cstring>
#include <exception>
#include <string>
#include <vector>

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

// What libtorch says of itself: the release of the headers that this file was compiled with (0), how the library that is
// loaded was built, its release included (1), and the kernels that it chose for this CPU (2). Truncated to `room`.
int fewstep_describe(int what, char *text, size_t room, char *message, size_t capacity) {
  return guarded(message, capacity, [&] {
    const std::string said = what == 0   ? std::string(TORCH_VERSION)
                             : what == 1 ? at::show_config()
                                         : at::get_cpu_capability();
    if (room > 0) {
      std::strncpy(text, said.c_str(), room - 1);
      text[room - 1] = '\0';
    }
  });
}

}  // extern "C"
