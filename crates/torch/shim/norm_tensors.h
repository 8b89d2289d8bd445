// What a group norm with its neighbours reads, and what its backward pass finds.

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
