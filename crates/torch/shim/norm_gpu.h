// The group norm with its neighbours on a GPU.

#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "norm_tensors.h"

// The order of memory that the kernels leave x in: that of channels_last where x has it, else the usual one.
at::MemoryFormat order_on_gpu(const at::Tensor &x);

// Whether the kernels take x, in so many groups; where not, `why` says what is missing.
bool norm_runs_on_gpu(const at::Tensor &x, int64_t groups, std::string *why);

// y and what the backward pass needs. x is in `order_on_gpu`, and so is y.
void norm_forward_on_gpu(const Inputs &, const at::Tensor &y, at::Tensor *stats);
Gradients norm_backward_on_gpu(const Inputs &, const at::Tensor &dy, const at::Tensor &stats);
