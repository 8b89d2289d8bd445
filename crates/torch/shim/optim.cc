// What a step does with its gradient on the CPU, in one pass over memory after that for the norm.

#include <ATen/core/Tensor.h>

#include <vector>

#include "guard.h"
#include "kernels.h"

namespace {

// A flat buffer of the kind and size of another one.
template <typename T>
T *flat(const void *p, const at::Tensor &like) {
  const at::Tensor &t = tensor(p);
  TORCH_CHECK(t.is_contiguous() && t.device().is_cpu() && t.scalar_type() == like.scalar_type() && t.numel() == like.numel(),
              "buffers that do not fit each other");
  return t.mutable_data_ptr<T>();
}

template <typename T>
void update(const Loops<T> &loops, const AdamUpdate &u, const at::Tensor &p, const void *grad, const void *m,
            const void *v, void *const *averages, const double *rates, int n_averages) {
  std::vector<Averaged<T>> averaged;
  for (int i = 0; i < n_averages; i++) averaged.push_back({flat<T>(averages[i], p), rates[i]});
  loops.adam(u, flat<T>(&p, p), flat<T>(grad, p), flat<T>(m, p), flat<T>(v, p), averaged.data(), n_averages, p.numel());
}

}  // namespace

extern "C" {

// One update by Adam (arXiv 1412.6980) of `param` with its moments, then of the averages, in place. All are flat, on the CPU,
// f32 or f64.
int fewstep_update(void *param, void *grad, void *m, void *v, const AdamUpdate *u, void *const *averages,
                   const double *rates, int n_averages, char *message, size_t capacity) {
  return guarded(message, capacity, [&] {
    const at::Tensor &p = tensor(param);
    const Kernels &kernels = kernels_for_this_cpu();
    if (p.scalar_type() == at::kDouble) {
      update<double>(kernels.f64, *u, p, grad, m, v, averages, rates, n_averages);
    } else {
      TORCH_CHECK(p.scalar_type() == at::kFloat, "parameters of a kind that is not trained");
      update<float>(kernels.f32, *u, p, grad, m, v, averages, rates, n_averages);
    }
  });
}

// The sum of squares of a flat buffer on the CPU, f32 or f64, in f64.
int fewstep_sum_of_squares(void *values, double *sum, char *message, size_t capacity) {
  return guarded(message, capacity, [&] {
    const at::Tensor &t = tensor(values);
    if (t.scalar_type() == at::kDouble) {
      *sum = kernels_for_this_cpu().f64.sum_of_squares(flat<double>(values, t), t.numel());
    } else {
      TORCH_CHECK(t.scalar_type() == at::kFloat, "values of a kind that is not trained");
      *sum = kernels_for_this_cpu().f32.sum_of_squares(flat<float>(values, t), t.numel());
    }
  });
}

}  // extern "C"
