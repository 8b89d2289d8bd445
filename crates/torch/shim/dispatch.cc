// Chooses among the copies of kernels.cc.

#include <ATen/Version.h>

#include <string>

#include "kernels.h"

extern const Kernels KERNELS_baseline;
#ifdef FEWSTEP_X86
extern const Kernels KERNELS_avx2;
extern const Kernels KERNELS_avx512;
#endif

const Kernels &kernels_for_this_cpu() {
  static const Kernels *chosen = [] {
#ifdef FEWSTEP_X86
    const std::string capability = at::get_cpu_capability();
    if (capability == "AVX512") return &KERNELS_avx512;
    if (capability == "AVX2") return &KERNELS_avx2;
#endif
    return &KERNELS_baseline;
  }();
  return *chosen;
}
