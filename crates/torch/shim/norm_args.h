// What a kernel of norm.cu is told. Both NVRTC and the compiler of the shim read this file.

#pragma once

// Threads of a block at most.
constexpr int MOST_THREADS = 512;

struct NormArgs {
  const void *x;             // [N, C, H, W], in either order of memory
  const void *dy;            // like x; for the backward pass
  void *out;                 // like x: y, or the gradient of x
  const float *weight;       // [C]
  const float *bias;         // [C]
  const float *before;       // [N, C] or null
  const float *scale_shift;  // [N, 2 C] or null
  float *stats;              // [N, groups, 2]: mean and 1 / deviation
  float *d_params;           // [2, N, C]: of the weight and the bias, by image
  float *d_before;           // [N, C] or null
  float *d_scale_shift;      // [N, 2 C] or null
  long long d_bias_from;     // N C: where the biases begin in d_params
  float eps;
  int silu;
  int channels;
  int groups;
  int width;            // channels of a group
  int pixels;
  int groups_of_block;  // groups of one image that a block takes; where it takes several, it has a column for every slot
  int lanes;            // threads that share a slot
  int columns;          // slots that are taken at a time
};
