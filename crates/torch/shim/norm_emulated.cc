// norm.cu on the CPU, for tests: each step of a block is done by its threads one after the other. What a block shares is filled
// with what is not a number, and threads go forwards or backwards, so that a read before its write, or one that needs a
// barrier that is missing, shows in the result.

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <vector>

#include "gpu.h"

#define FEWSTEP_EMULATED
#define FN inline

namespace {

thread_local bool backwards = false;

#define EACH_THREAD(t)                                                                          \
  for (int done = 0, t = backwards ? b.threads - 1 : 0; done < b.threads; done++, t += backwards ? -1 : 1)
#define BARRIER
#define EXPONENTIAL(x) std::exp(x)
#define ROOT_RECIPROCAL(x) (1.0f / std::sqrt(x))

inline unsigned bits_of(float value) {
  unsigned bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

inline float float_of(unsigned bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

#define BITS_OF(x) bits_of(x)
#define FLOAT_OF(bits) float_of(bits)

template <class T>
struct OfThread {
  T values[MOST_THREADS];
  T &operator[](int t) { return values[t]; }
};

template <class T>
T load(const T *from) {
  if (reinterpret_cast<uintptr_t>(from) % sizeof(T) != 0) throw std::runtime_error("a misaligned read");
  return *from;
}

#include "norm.cu"

template <class T, int V, bool LAST>
void block(const NormLaunch &l, const NormArgs &a, int i, float *shared) {
  if (l.backward) {
    norm_backward<T, V, LAST>(a, i, shared);
  } else {
    norm_forward<T, V, LAST>(a, i, shared);
  }
}

template <class T, int V>
void block(const NormLaunch &l, const NormArgs &a, int i, float *shared) {
  l.variant.last ? block<T, V, true>(l, a, i, shared) : block<T, V, false>(l, a, i, shared);
}

template <class T>
void block(const NormLaunch &l, const NormArgs &a, int i, float *shared) {
  switch (l.variant.vector) {
    case 1:
      return block<T, 1>(l, a, i, shared);
    case 2:
      return block<T, 2>(l, a, i, shared);
    case 4:
      return block<T, 4>(l, a, i, shared);
    case 8:
      return block<T, 8>(l, a, i, shared);
    default:
      throw std::runtime_error("no such kernel");
  }
}

struct Emulation : NormRunner {
  void prepare(const NormVariant &) override {}

  void run(const NormLaunch &l, NormArgs a) override {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    if (l.threads > MOST_THREADS || l.shared > 48 * 1024) throw std::runtime_error("more than a block can have");
    const size_t floats = l.shared / sizeof(float);
    constexpr float MARK = 12345.0f;
    for (int i = 0; i < l.blocks; i++) {
      std::vector<float> shared(floats + 64, nan);
      std::fill(shared.begin() + floats, shared.end(), MARK);
      l.variant.bf16 ? block<Bf16>(l, a, i, shared.data()) : block<float>(l, a, i, shared.data());
      for (size_t j = floats; j < shared.size(); j++) {
        if (shared[j] != MARK) throw std::runtime_error("a block writes beyond what it shares");
      }
    }
  }
};

}  // namespace

extern "C" {

// From here on group norms of tensors on the CPU are computed by the emulation (1), by it with threads in the other order (2),
// or as ever (0).
void fewstep_emulate_gpu(int how) {
  static Emulation emulation;
  norm_runner_of_cpu = how ? &emulation : nullptr;
  backwards = how == 2;
}

}  // extern "C"
