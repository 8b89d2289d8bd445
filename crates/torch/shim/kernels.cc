// The loops of kernels.h. Only builtins are used: an inline function of the standard library, compiled here for AVX-512,
// could be the copy that the linker keeps for all.

#include "kernels.h"

#define CONCAT_(a, b) a##b
#define CONCAT(a, b) CONCAT_(a, b)

namespace {

// Values that are summed side by side: a row of the smallest images, and the same on every CPU.
constexpr long LANES = 16;

// Values that are taken at a time: they stay in the nearest cache.
constexpr long PIECE = 2048;

template <typename T>
constexpr T LARGEST = T(__FLT_MAX__);
template <>
constexpr double LARGEST<double> = __DBL_MAX__;

#define INLINE static inline __attribute__((always_inline))

// exp(x), clamped to what f32 can hold. With k = round(x / ln 2), exp(x) = 2^k exp(x - k ln 2), and the Taylor series to the
// seventh power leaves 5e-9 of it for |r| <= ln(2) / 2.
INLINE float exponential(float x) {
  x = x < -87.0f ? -87.0f : x;
  x = x > 88.0f ? 88.0f : x;
  const float magic = 12582912.0f;  // 1.5 2^23: adding it rounds to a whole number
  const float k = (x * 1.44269504088896341f + magic) - magic;
  // ln 2 in two parts, the first of few digits, so that k times it is exact.
  const float r = (x - k * 0.693359375f) + k * 2.12194440e-4f;
  float p = 1.0f / 5040.0f;
  p = p * r + 1.0f / 720.0f;
  p = p * r + 1.0f / 120.0f;
  p = p * r + 1.0f / 24.0f;
  p = p * r + 1.0f / 6.0f;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  union {
    int32_t bits;
    float value;
  } power;
  power.bits = (static_cast<int32_t>(k) + 127) << 23;
  return p * power.value;
}

INLINE double exponential(double x) { return __builtin_exp(x); }

INLINE float root(float x) { return __builtin_sqrtf(x); }
INLINE double root(double x) { return __builtin_sqrt(x); }

template <typename T>
INLINE T sigmoid(T z) {
  return T(1) / (T(1) + exponential(-z));
}

// The sum of LANES partial sums, two and two. They are lost.
template <typename T>
INLINE double total(T *lanes) {
  for (long width = LANES / 2; width > 0; width /= 2) {
    for (long i = 0; i < width; i++) lanes[i] += lanes[i + width];
  }
  return lanes[0];
}

// The sum of f(i) for i < n, in LANES partial sums, each of a piece, so that none of f32 grows long.
template <typename T, typename F>
INLINE double summed(long n, F &&f) {
  double sum = 0;
  for (long from = 0; from < n; from += PIECE) {
    const long to = from + PIECE < n ? from + PIECE : n;
    T lanes[LANES] = {};
    long i = from;
    for (; i + LANES <= to; i += LANES) {
      for (long j = 0; j < LANES; j++) lanes[j] += f(i + j);
    }
    for (long j = 0; i + j < to; j++) lanes[j] += f(i + j);
    sum += total(lanes);
  }
  return sum;
}

template <typename T>
INLINE T or_zero(const T *values, long c) {
  return values ? values[c] : T(0);
}

template <typename T>
void norm_forward(const NormGroup<T> &g, const T *x, double eps, T *y, double *mean_out, double *rstd_out) {
  const long n = g.pixels;
  const double count = double(g.channels) * n;
  // The mean first, then squares about it: no large sums cancel. Where nothing differs between channels, the group is one row.
  const long rows = g.before ? g.channels : 1, length = g.before ? n : g.channels * n;
  double mean = 0;
  for (long c = 0; c < rows; c++) {
    const T *row = x + c * length;
    mean += summed<T>(length, [&](long i) { return row[i]; }) + n * double(or_zero(g.before, c));
  }
  mean /= count;
  double variance = 0;
  for (long c = 0; c < rows; c++) {
    const T *row = x + c * length;
    const T centre = T(mean - or_zero(g.before, c));
    variance += summed<T>(length, [&](long i) { return (row[i] - centre) * (row[i] - centre); });
  }
  variance /= count;
  const double rstd = 1.0 / __builtin_sqrt(variance + eps);
  for (long c = 0; c < g.channels; c++) {
    const T *row = x + c * n;
    T *out = y + c * n;
    const double scale = 1.0 + or_zero(g.scale, c);
    const T centre = T(mean - or_zero(g.before, c));
    const T a = T(rstd * g.weight[c] * scale);
    const T b = T(g.bias[c] * scale + or_zero(g.shift, c));
    if (g.silu) {
      for (long i = 0; i < n; i++) {
        const T z = (row[i] - centre) * a + b;
        out[i] = z * sigmoid(z);
      }
    } else {
      for (long i = 0; i < n; i++) out[i] = (row[i] - centre) * a + b;
    }
  }
  *mean_out = mean;
  *rstd_out = rstd;
}

// With u the normed value, z = (weight u + bias) (1 + scale) + shift and y = act(z); k = weight (1 + scale):
//   du = k act'(z) dy,   dx = rstd (du - mean(du) - u mean(du u)),   means over the group.
template <typename T>
void norm_backward(const NormGroup<T> &g, const T *x, const T *dy, double mean, double rstd, T *scratch, T *dx,
                   const NormSums<T> &sums) {
  const long n = g.pixels;
  double of_du = 0, of_du_u = 0;
  for (long c = 0; c < g.channels; c++) {
    const T *row = x + c * n, *grad = dy + c * n;
    T *dz = scratch + c * n;
    const double scale = 1.0 + or_zero(g.scale, c), k = g.weight[c] * scale;
    const T centre = T(mean - or_zero(g.before, c)), r = T(rstd);
    const T a = T(k), b = T(g.bias[c] * scale + or_zero(g.shift, c));
    if (g.silu) {
      for (long i = 0; i < n; i++) {
        const T z = (row[i] - centre) * r * a + b, s = sigmoid(z);
        dz[i] = grad[i] * s * (T(1) + z * (T(1) - s));
      }
    } else {
      for (long i = 0; i < n; i++) dz[i] = grad[i];
    }
    const double of_dz = summed<T>(n, [&](long i) { return dz[i]; });
    const double of_dz_u = summed<T>(n, [&](long i) { return dz[i] * ((row[i] - centre) * r); });
    of_du += k * of_dz;
    of_du_u += k * of_dz_u;
    sums.weight[c] += T(scale * of_dz_u);
    sums.bias[c] += T(scale * of_dz);
    if (sums.scale) sums.scale[c] = T(g.weight[c] * of_dz_u + g.bias[c] * of_dz);
    if (sums.shift) sums.shift[c] = T(of_dz);
  }
  const double count = double(g.channels) * n;
  const T a = T(of_du / count), b = T(of_du_u / count), r = T(rstd);
  for (long c = 0; c < g.channels; c++) {
    const T *row = x + c * n, *dz = scratch + c * n;
    T *out = dx + c * n;
    const T centre = T(mean - or_zero(g.before, c));
    const T k = T(g.weight[c] * (1.0 + or_zero(g.scale, c)));
    for (long i = 0; i < n; i++) out[i] = r * (k * dz[i] - a - (row[i] - centre) * r * b);
    if (sums.before) sums.before[c] = T(summed<T>(n, [&](long i) { return out[i]; }));
  }
}

template <typename T>
void adam(const AdamUpdate &u, T *p, const T *gradient, T *m, T *v, const Averaged<T> *averages, int n_averages,
          long n) {
  const T factor = T(u.factor), limit = T(u.limit);
  const T beta1 = T(u.beta1), beta2 = T(u.beta2), rest1 = T(1.0 - u.beta1), rest2 = T(1.0 - u.beta2);
  const T size = T(u.lr / u.correction1), root2 = T(1.0 / __builtin_sqrt(u.correction2)), eps = T(u.eps);
  // In pieces: the averages read the parameters again while they are near.
  for (long from = 0; from < n; from += PIECE) {
    const long to = from + PIECE < n ? from + PIECE : n;
    for (long i = from; i < to; i++) {
      T g = gradient[i];
      if (limit > T(0)) {
        g = g != g ? T(0) : g;
        g = g > LARGEST<T> ? limit : g;
        g = g < -LARGEST<T> ? -limit : g;
      }
      g *= factor;
      m[i] = beta1 * m[i] + rest1 * g;
      v[i] = beta2 * v[i] + rest2 * g * g;
      p[i] -= size * m[i] / (root(v[i]) * root2 + eps);
    }
    for (int k = 0; k < n_averages; k++) {
      T *average = averages[k].values;
      const T rate = T(averages[k].rate);
      if (averages[k].rate == 1.0) {
        for (long i = from; i < to; i++) average[i] = p[i];
      } else if (averages[k].rate < 0.5) {
        for (long i = from; i < to; i++) average[i] += rate * (p[i] - average[i]);
      } else {
        for (long i = from; i < to; i++) average[i] = p[i] - (p[i] - average[i]) * (T(1) - rate);
      }
    }
  }
}

template <typename T>
double sum_of_squares(const T *x, long n) {
  return summed<double>(n, [&](long i) { return double(x[i]) * double(x[i]); });
}

union Bits {
  uint32_t bits;
  float value;
};

void widen(const uint16_t *from, float *to, long n) {
  for (long i = 0; i < n; i++) {
    Bits b;
    b.bits = uint32_t(from[i]) << 16;
    to[i] = b.value;
  }
}

// To the nearest, ties to even. Not a number stays so: its quiet bit is set, whatever is cut off.
void narrow(const float *from, uint16_t *to, long n) {
  for (long i = 0; i < n; i++) {
    Bits b;
    b.value = from[i];
    const uint32_t rounded = (b.bits + 0x7fffu + ((b.bits >> 16) & 1u)) >> 16;
    const uint32_t quiet = (b.bits >> 16) | 0x40u;
    to[i] = uint16_t(from[i] != from[i] ? quiet : rounded);
  }
}

template <typename T>
constexpr Loops<T> loops() {
  return {norm_forward<T>, norm_backward<T>, adam<T>, sum_of_squares<T>};
}

}  // namespace

extern const Kernels CONCAT(KERNELS_, FEWSTEP_ISA);
const Kernels CONCAT(KERNELS_, FEWSTEP_ISA) = {loops<float>(), loops<double>(), widen, narrow};
