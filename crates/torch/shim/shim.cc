// libtorch functions that tch does not expose, on at::Tensor pointers.

#include <ATen/Context.h>
#include <ATen/Version.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_fused_adam.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <torch/version.h>

#include <string>
#include <vector>

#include "guard.h"

extern "C" {

// One Adam update (arXiv 1412.6980) of one flat buffer in a single pass over memory. `step` counts from 1.
int fewstep_fused_adam(void *param, void *grad, void *exp_avg, void *exp_avg_sq, double step, double lr, double beta1,
                       double beta2, double eps, char *message, size_t capacity) {
  return guarded(message, capacity, [&] {
    at::NoGradGuard guard;
    at::Tensor p = tensor(param);
    at::Tensor step_tensor = at::full({}, step, at::TensorOptions().dtype(at::kFloat).device(p.device()));
    std::vector<at::Tensor> params{p}, grads{tensor(grad)}, m{tensor(exp_avg)}, v{tensor(exp_avg_sq)}, none,
        steps{step_tensor};
    at::_fused_adam_(params, grads, m, v, none, steps, lr, beta1, beta2, /*weight_decay=*/0.0, eps,
                     /*amsgrad=*/false, /*maximize=*/false);
  });
}

// The L2 norm of all elements, accumulated in f64. Waits for the device.
int fewstep_l2_norm(void *values, double *norm, char *message, size_t capacity) {
  return guarded(message, capacity, [&] {
    at::NoGradGuard guard;
    const at::Tensor &t = ::tensor(values);
    *norm = at::linalg_vector_norm(t, 2, at::OptionalIntArrayRef(), /*keepdim=*/false, at::kDouble).item<double>();
  });
}

// Whether this CPU multiplies bfloat16 by instructions of its own, and libtorch was not told to do without them.
int fewstep_has_bf16() {
#ifdef FEWSTEP_X86
  try {
    return at::get_cpu_capability() == "AVX512" && __builtin_cpu_supports("avx512bf16");
  } catch (...) {
    return 0;
  }
#else
  return 0;
#endif
}

// Whether products of f32 on GPUs may round to TF32.
int fewstep_allow_tf32(int allowed, char *message, size_t capacity) {
  return guarded(message, capacity, [&] {
    auto &context = at::globalContext();
    context.setAllowTF32CuDNN(allowed != 0);
    context.setAllowTF32CuBLAS(allowed != 0);
  });
}

// Bitwise reproducibility on accelerators: deterministic kernels only, no autotuning, and TF32 as requested.
int fewstep_set_reproducible(int deterministic, int tf32, char *message, size_t capacity) {
  return guarded(message, capacity, [&] {
    auto &context = at::globalContext();
    context.setDeterministicAlgorithms(deterministic != 0, /*warn_only=*/true);
    // Else every tensor is filled with NaN before it is written, a tenth of the time of a step in bf16.
    context.setDeterministicFillUninitializedMemory(false);
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
