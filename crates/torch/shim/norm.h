// The group norm with its neighbours, as norm.cc has it for autograd and norm_gpu.cc computes it on a GPU.

#pragma once

#include <ATen/core/Tensor.h>

struct Inputs {
  at::Tensor x;            // [N, C, H, W], contiguous; on a GPU perhaps in the order of channels_last
  at::Tensor weight;       // [C], like all that follow in the kind of the sums
  at::Tensor bias;         // [C]
  at::Tensor before;       // [N, C] or undefined
  at::Tensor scale_shift;  // [N, 2 C] or undefined
  int64_t groups;
  double eps;
  bool silu;

  at::ScalarType wide() const { return x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat; }
  int64_t images() const { return x.size(0); }
  int64_t channels() const { return x.size(1); }
  int64_t channels_of_group() const { return channels() / groups; }
  int64_t pixels() const { return x.numel() / (images() * channels()); }
};

struct Gradients {
  at::Tensor x, weight, bias, before, scale_shift;
};

// The order of memory that the kernels leave x in: that of channels_last where x has it, else the usual one.
at::MemoryFormat order_on_gpu(const at::Tensor &x);

// Whether the kernels take x, in so many groups; where not, `why` says what is missing.
bool norm_runs_on_gpu(const at::Tensor &x, int64_t groups, std::string *why);

// y and what the backward pass needs. x is in `order_on_gpu`, and so is y.
void norm_forward_on_gpu(const Inputs &, const at::Tensor &y, at::Tensor *stats);
Gradients norm_backward_on_gpu(const Inputs &, const at::Tensor &dy, const at::Tensor &stats);
