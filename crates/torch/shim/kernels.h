// Loops over plain arrays that libtorch has no single operation for. kernels.cc is compiled once per instruction set, and
// kernels_for chooses one of them at run time, as libtorch chooses its own kernels.

#pragma once

#include <cstddef>
#include <cstdint>

// One group of one image: `channels` rows of `pixels` values, and what is known of each channel. Pointers to what a norm
// does not have are null.
template <typename T>
struct NormGroup {
  long channels;
  long pixels;
  const T *weight;
  const T *bias;
  const T *before;  // added to every value before the norm
  const T *scale;   // the normed values are multiplied by 1 + scale, then shift is added
  const T *shift;
  bool silu;        // z sigmoid(z) is applied last
};

// What the backward pass of a group finds for each channel: sums over its pixels.
template <typename T>
struct NormSums {
  T *weight;  // these two are added to, because images share them
  T *bias;
  T *before;
  T *scale;
  T *shift;
};

// Adam's constants of one update, and what is done to the gradient first.
struct AdamUpdate {
  double lr;
  double beta1;
  double beta2;
  double eps;
  double correction1;  // 1 - beta1^step
  double correction2;  // 1 - beta2^step
  double factor;       // of the gradient
  double limit;        // above 0: what is not a number becomes 0, and infinities become plus or minus this
};

// One update of an average: average += rate (values - average).
template <typename T>
struct Averaged {
  T *values;
  double rate;
};

template <typename T>
struct Loops {
  void (*norm_forward)(const NormGroup<T> &, const T *x, double eps, T *y, double *mean, double *rstd);
  // `scratch` has room for the group.
  void (*norm_backward)(const NormGroup<T> &, const T *x, const T *dy, double mean, double rstd, T *scratch, T *dx,
                        const NormSums<T> &);
  void (*adam)(const AdamUpdate &, T *parameters, const T *gradient, T *m, T *v, const Averaged<T> *averages,
               int n_averages, long n);
  double (*sum_of_squares)(const T *, long n);
};

struct Kernels {
  Loops<float> f32;
  Loops<double> f64;
  void (*widen)(const uint16_t *bf16, float *, long n);
  void (*narrow)(const float *, uint16_t *bf16, long n);
};

// The kernels for libtorch's own choice: at::get_cpu_capability().
const Kernels &kernels_for_this_cpu();
