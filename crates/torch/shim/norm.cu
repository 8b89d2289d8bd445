// The group norm of norm.cc on a GPU: one kernel forward and one backward, for f32 and bf16, in either order of memory. NVRTC
// compiles this text at run time. norm_emulated.cc compiles it for the CPU, where tests compare it with kernels.cc.
//
// A block takes one group of an image, or several. Its threads stand in columns and lanes. A column walks over slots: a slot
// is V neighbouring channels where the channels of a pixel are neighbours in memory (LAST), else one channel. The lanes
// of a column share the pixels of its slot, and each of them reads V values at a time. Sums are added in one fixed order.

#include "norm_args.h"

// The emulation has its own of these.
#ifndef FEWSTEP_EMULATED
#define FN __device__ __forceinline__
// What every thread of the block does until the next BARRIER; `t` is its number.
#define EACH_THREAD(t) for (int t = threadIdx.x, done = 0; !done; done = 1)
#define BARRIER __syncthreads()
#define EXPONENTIAL(x) __expf(x)
#define ROOT_RECIPROCAL(x) rsqrtf(x)
#define BITS_OF(x) __float_as_uint(x)
#define FLOAT_OF(bits) __uint_as_float(bits)

// A value that a thread keeps from one step to the next.
template <class T>
struct OfThread {
  T value;
  FN T &operator[](int) { return value; }
};

template <int BYTES>
struct Word;
template <>
struct Word<2> {
  using Type = unsigned short;
};
template <>
struct Word<4> {
  using Type = unsigned;
};
template <>
struct Word<8> {
  using Type = uint2;
};
template <>
struct Word<16> {
  using Type = uint4;
};

// One word of what no kernel writes: it may be read ahead of writes that come before it.
template <class T>
FN T load(const T *from) {
  using Type = typename Word<sizeof(T)>::Type;
  T value;
  *reinterpret_cast<Type *>(&value) = __ldg(reinterpret_cast<const Type *>(from));
  return value;
}
#endif

struct Bf16 {
  unsigned short bits;
};

FN float widen(float value) { return value; }
FN float widen(Bf16 value) { return FLOAT_OF(static_cast<unsigned>(value.bits) << 16); }

FN void narrow(float value, float &to) { to = value; }

// To the nearest, ties to even.
FN void narrow(float value, Bf16 &to) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(to.bits) : "f"(value));
#else
  const unsigned bits = BITS_OF(value);
  const unsigned rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  to.bits = static_cast<unsigned short>(value != value ? (bits >> 16) | 0x40u : rounded);
#endif
}

template <class T, int V>
struct alignas(sizeof(T) * V) Vector {
  T values[V];
};

FN float sigmoid(float z) { return 1.0f / (1.0f + EXPONENTIAL(-z)); }

// Where a block stands, and what each of its threads does there.
template <class T, int V, bool LAST>
struct Block {
  static constexpr int WIDE = LAST ? V : 1;  // channels of a slot
  const NormArgs &a;
  int image, first_group, first;  // `first` is a channel
  int slots, channels;            // of this block; the last block of an image may have fewer than the others
  int vectors;                    // of a slot
  int threads;
  int of_group;                   // threads of a group

  FN Block(const NormArgs &args, int block) : a(args) {
    const int blocks = (a.groups + a.groups_of_block - 1) / a.groups_of_block;
    image = block / blocks;
    first_group = block % blocks * a.groups_of_block;
    first = first_group * a.width;
    const int all = a.groups_of_block * a.width, left = a.channels - first;
    channels = left < all ? left : all;
    slots = channels / WIDE;
    vectors = LAST ? a.pixels : a.pixels / V;
    threads = a.columns * a.lanes;
    of_group = threads / a.groups_of_block;
  }

  // Neighbouring threads read neighbouring memory.
  FN int lane(int t) const { return LAST ? t / a.columns : t % a.lanes; }
  FN int column(int t) const { return LAST ? t % a.columns : t / a.lanes; }
  // The thread's number where the threads of a group follow each other.
  FN int rank(int t) const { return column(t) * a.lanes + lane(t); }
  FN int group(int t) const { return rank(t) / of_group; }
  FN bool works(int t) const { return column(t) < slots; }

  FN long long at(int channel, int vector) const {
    return LAST ? (static_cast<long long>(image) * a.pixels + vector) * a.channels + channel
                : (static_cast<long long>(image) * a.channels + channel) * a.pixels + static_cast<long long>(vector) * V;
  }
  FN Vector<T, V> read(const void *from, int channel, int vector) const {
    return load(reinterpret_cast<const Vector<T, V> *>(static_cast<const T *>(from) + at(channel, vector)));
  }
  FN void write(const Vector<T, V> &values, void *to, int channel, int vector) const {
    *reinterpret_cast<Vector<T, V> *>(static_cast<T *>(to) + at(channel, vector)) = values;
  }
  // Of the group's first channel and the first pixel.
  FN float origin(int group) const {
    const int channel = first + group * a.width;
    return widen(load(static_cast<const T *>(a.x) + at(channel, 0))) + before(channel);
  }
  FN long long row(int channel) const { return static_cast<long long>(image) * a.channels + channel; }
  FN float before(int channel) const { return a.before ? a.before[row(channel)] : 0.0f; }
  FN float scale(int channel) const {
    return a.scale_shift ? 1.0f + a.scale_shift[row(channel) + static_cast<long long>(image) * a.channels] : 1.0f;
  }
  FN float shift(int channel) const {
    return a.scale_shift ? a.scale_shift[row(channel) + static_cast<long long>(image + 1) * a.channels] : 0.0f;
  }
  FN long long stat(int group) const { return (static_cast<long long>(image) * a.groups + first_group + group) * 2; }
};

// Partial sums that one thread adds up at a time.
constexpr int ROWS = 16;

// Puts the sum over the threads of each group into every one of them.
template <class B>
FN void sum_by_group(const B &b, OfThread<float> &values, float *shared, float *rows) {
  const int n = b.of_group, n_rows = n < ROWS ? n : ROWS;
  EACH_THREAD(t) { shared[b.rank(t)] = values[t]; }
  BARRIER;
  EACH_THREAD(t) {
    const int i = b.rank(t) % n;
    if (i < n_rows) {
      const float *of_group = shared + b.group(t) * n;
      float sum = 0.0f;
      for (int j = i; j < n; j += ROWS) sum += of_group[j];
      rows[b.group(t) * n_rows + i] = sum;
    }
  }
  BARRIER;
  EACH_THREAD(t) {
    float sum = 0.0f;
    for (int i = 0; i < n_rows; i++) sum += rows[b.group(t) * n_rows + i];
    values[t] = sum;
  }
}

template <class T, int V, bool LAST>
FN void norm_forward(const NormArgs &a, int block, float *shared) {
  using B = Block<T, V, LAST>;
  const B b(a, block);
  float *rows = shared + b.threads;
  OfThread<float> count, mean, spread, summed;
  // Each thread's mean, as a distance from the group's first value, and its squares about its own mean: each is summed
  // about a value that is at hand, so that no large sums cancel.
  EACH_THREAD(t) {
    count[t] = mean[t] = spread[t] = summed[t] = 0.0f;
    if (!b.works(t) || b.lane(t) >= b.vectors) continue;
    const int own = b.first + b.column(t) * B::WIDE;
    const float centre = widen(b.read(a.x, own, b.lane(t)).values[0]) + b.before(own);
    float n = 0.0f, sum = 0.0f, squares = 0.0f;
    for (int slot = b.column(t); slot < b.slots; slot += a.columns) {
      const int channel = b.first + slot * B::WIDE;
      float away[B::WIDE];
      for (int j = 0; j < B::WIDE; j++) away[j] = b.before(channel + j) - centre;
#pragma unroll 4
      for (int i = b.lane(t); i < b.vectors; i += a.lanes) {
        const Vector<T, V> x = b.read(a.x, channel, i);
        for (int j = 0; j < V; j++) {
          const float value = widen(x.values[j]) + away[LAST ? j : 0];
          sum += value;
          squares += value * value;
        }
        n += V;
      }
    }
    count[t] = n;
    mean[t] = (centre - b.origin(b.group(t))) + sum / n;
    spread[t] = squares - sum * (sum / n);
    summed[t] = n * mean[t];
  }
  const float n = static_cast<float>(a.width) * a.pixels;
  sum_by_group(b, summed, shared, rows);
  EACH_THREAD(t) {
    const float away = mean[t] - summed[t] / n;
    spread[t] += count[t] * away * away;
  }
  sum_by_group(b, spread, shared, rows);
  EACH_THREAD(t) {
    if (!b.works(t)) continue;
    const float of_group = b.origin(b.group(t)) + summed[t] / n, r = ROOT_RECIPROCAL(spread[t] / n + a.eps);
    if (b.rank(t) % b.of_group == 0) {
      a.stats[b.stat(b.group(t))] = of_group;
      a.stats[b.stat(b.group(t)) + 1] = r;
    }
    for (int slot = b.column(t); slot < b.slots; slot += a.columns) {
      const int channel = b.first + slot * B::WIDE;
      float centre[B::WIDE], k[B::WIDE], c[B::WIDE];
      for (int j = 0; j < B::WIDE; j++) {
        centre[j] = of_group - b.before(channel + j);
        k[j] = r * a.weight[channel + j] * b.scale(channel + j);
        c[j] = a.bias[channel + j] * b.scale(channel + j) + b.shift(channel + j);
      }
#pragma unroll 4
      for (int i = b.lane(t); i < b.vectors; i += a.lanes) {
        const Vector<T, V> x = b.read(a.x, channel, i);
        Vector<T, V> y;
        for (int j = 0; j < V; j++) {
          const int w = LAST ? j : 0;
          const float z = (widen(x.values[j]) - centre[w]) * k[w] + c[w];
          narrow(a.silu ? z * sigmoid(z) : z, y.values[j]);
        }
        b.write(y, a.out, channel, i);
      }
    }
  }
}

// What the backward pass knows of a channel.
struct Channel {
  float centre, r, k, c;

  template <class B>
  FN void of(const B &b, int channel, float mean, float rstd) {
    centre = mean - b.before(channel);
    r = rstd;
    k = b.a.weight[channel] * b.scale(channel);
    c = b.a.bias[channel] * b.scale(channel) + b.shift(channel);
  }
  FN float normed(float x) const { return (x - centre) * r; }
  // The gradient before the nonlinearity.
  FN float slope(float u, float dy, int silu) const {
    const float z = u * k + c;
    if (!silu) return dy;
    const float s = sigmoid(z);
    return dy * s * (1.0f + z * (1.0f - s));
  }
};

// With u the normed value, z = (weight u + bias) (1 + scale) + shift, dz its gradient, and k = weight (1 + scale):
//   dx = rstd (k dz - mean(k dz) - u mean(k dz u)),   means over the group.
template <class T, int V, bool LAST>
FN void norm_backward(const NormArgs &a, int block, float *shared) {
  using B = Block<T, V, LAST>;
  const B b(a, block);
  // By channel and lane: sums of dz, of dz u, and of u.
  const int room = a.groups_of_block * a.width * a.lanes;
  float *sums = shared, *means = shared + 3 * room;
  const int n_rows = a.lanes < ROWS ? a.lanes : ROWS;
  EACH_THREAD(t) {
    if (!b.works(t)) continue;
    const float mean = a.stats[b.stat(b.group(t))], rstd = a.stats[b.stat(b.group(t)) + 1];
    for (int slot = b.column(t); slot < b.slots; slot += a.columns) {
      const int channel = b.first + slot * B::WIDE;
      Channel of[B::WIDE];
      float of_dz[B::WIDE], of_dz_u[B::WIDE], of_u[B::WIDE];
      for (int j = 0; j < B::WIDE; j++) {
        of[j].of(b, channel + j, mean, rstd);
        of_dz[j] = of_dz_u[j] = of_u[j] = 0.0f;
      }
#pragma unroll 2
      for (int i = b.lane(t); i < b.vectors; i += a.lanes) {
        const Vector<T, V> x = b.read(a.x, channel, i), dy = b.read(a.dy, channel, i);
        for (int j = 0; j < V; j++) {
          const int w = LAST ? j : 0;
          const float u = of[w].normed(widen(x.values[j])), dz = of[w].slope(u, widen(dy.values[j]), a.silu);
          of_dz[w] += dz;
          of_dz_u[w] += dz * u;
          of_u[w] += u;
        }
      }
      for (int j = 0; j < B::WIDE; j++) {
        const int i = (slot * B::WIDE + j) * a.lanes + b.lane(t);
        sums[i] = of_dz[j];
        sums[room + i] = of_dz_u[j];
        sums[2 * room + i] = of_u[j];
      }
    }
  }
  BARRIER;
  EACH_THREAD(t) {
    for (int i = t; i < 3 * b.channels * n_rows; i += b.threads) {
      const int which = i / (b.channels * n_rows), channel = i / n_rows % b.channels, row = i % n_rows;
      float *of_channel = sums + which * room + channel * a.lanes;
      float sum = 0.0f;
      for (int j = row; j < a.lanes; j += ROWS) sum += of_channel[j];
      of_channel[row] = sum;
    }
  }
  BARRIER;
  EACH_THREAD(t) {
    for (int i = t; i < b.channels; i += b.threads) {
      float *of_dz = sums + i * a.lanes, *of_dz_u = of_dz + room, *of_u = of_dz_u + room;
      float dz = 0.0f, dz_u = 0.0f, u = 0.0f;
      for (int j = 0; j < n_rows; j++) {
        dz += of_dz[j];
        dz_u += of_dz_u[j];
        u += of_u[j];
      }
      const int channel = b.first + i;
      const long long row = b.row(channel), all = a.d_bias_from;
      const float scale = b.scale(channel), k = a.weight[channel] * scale;
      a.d_params[row] = scale * dz_u;
      a.d_params[all + row] = scale * dz;
      if (a.d_scale_shift) {
        float *of_image = a.d_scale_shift + static_cast<long long>(b.image) * 2 * a.channels;
        of_image[channel] = a.weight[channel] * dz_u + a.bias[channel] * dz;
        of_image[a.channels + channel] = dz;
      }
      *of_dz = k * dz;
      *of_dz_u = k * dz_u;
      *of_u = u;
    }
  }
  BARRIER;
  EACH_THREAD(t) {
    for (int g = t; g < b.channels / a.width; g += b.threads) {
      const float n = static_cast<float>(a.width) * a.pixels;
      float du = 0.0f, du_u = 0.0f;
      for (int i = g * a.width; i < (g + 1) * a.width; i++) {
        du += sums[i * a.lanes];
        du_u += sums[room + i * a.lanes];
      }
      means[g] = du / n;
      means[a.groups_of_block + g] = du_u / n;
    }
  }
  BARRIER;
  EACH_THREAD(t) {
    if (a.d_before) {
      for (int i = t; i < b.channels; i += b.threads) {
        const int g = i / a.width;
        const float du = means[g], du_u = means[a.groups_of_block + g], rstd = a.stats[b.stat(g) + 1];
        a.d_before[b.row(b.first + i)] =
            rstd * (sums[i * a.lanes] - a.pixels * du - du_u * sums[2 * room + i * a.lanes]);
      }
    }
    if (!b.works(t)) continue;
    const int g = b.group(t);
    const float mean = a.stats[b.stat(g)], rstd = a.stats[b.stat(g) + 1];
    const float du = means[g], du_u = means[a.groups_of_block + g];
    for (int slot = b.column(t); slot < b.slots; slot += a.columns) {
      const int channel = b.first + slot * B::WIDE;
      Channel of[B::WIDE];
      for (int j = 0; j < B::WIDE; j++) of[j].of(b, channel + j, mean, rstd);
#pragma unroll 2
      for (int i = b.lane(t); i < b.vectors; i += a.lanes) {
        const Vector<T, V> x = b.read(a.x, channel, i), dy = b.read(a.dy, channel, i);
        Vector<T, V> dx;
        for (int j = 0; j < V; j++) {
          const int w = LAST ? j : 0;
          const float u = of[w].normed(widen(x.values[j])), dz = of[w].slope(u, widen(dy.values[j]), a.silu);
          narrow(rstd * (of[w].k * dz - du - u * du_u), dx.values[j]);
        }
        b.write(dx, a.out, channel, i);
      }
    }
  }
}

#ifndef FEWSTEP_EMULATED
// FEWSTEP_KIND, FEWSTEP_VECTOR and FEWSTEP_LAST are NVRTC's options.
extern "C" __global__ void __launch_bounds__(MOST_THREADS) fewstep_norm_forward(NormArgs args) {
  extern __shared__ float shared[];
  norm_forward<FEWSTEP_KIND, FEWSTEP_VECTOR, FEWSTEP_LAST>(args, blockIdx.x, shared);
}

extern "C" __global__ void __launch_bounds__(MOST_THREADS) fewstep_norm_backward(NormArgs args) {
  extern __shared__ float shared[];
  norm_backward<FEWSTEP_KIND, FEWSTEP_VECTOR, FEWSTEP_LAST>(args, blockIdx.x, shared);
}
#endif
