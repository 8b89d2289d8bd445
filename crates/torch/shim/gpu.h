// Kernels that are compiled at run time, for the GPU that is there, by the NVRTC that libtorch brings.

#pragma once

#include <cstddef>
#include <string>

#include "norm_args.h"

// Which of the kernels of norm.cu.
struct NormVariant {
  bool bf16;
  bool last;   // the channels of a pixel are neighbours in memory
  int vector;  // values that a thread reads at a time
};

// Such an option of NVRTC.
std::string option(const char *name, const std::string &value);

// A cubin of norm.cu for an architecture such as `sm_90`, by the library at `nvrtc`, or the one that libtorch has. Throws what
// the compiler says.
std::string compile_norm(const char *nvrtc, const std::string &architecture, const NormVariant &);

struct NormLaunch {
  NormVariant variant;
  bool backward;
  int blocks;
  int threads;
  size_t shared;  // bytes
};

// Where kernels run: a GPU, or a test's emulation of one.
struct NormRunner {
  virtual ~NormRunner() = default;
  // Makes the kernels ready. Throws where they cannot be.
  virtual void prepare(const NormVariant &) = 0;
  virtual void run(const NormLaunch &, NormArgs) = 0;
};

// For the CUDA device of this number, on libtorch's current stream of it.
NormRunner &norm_runner_of_gpu(int device);

// For tensors of the CPU on this thread: a test's own, else null.
extern thread_local NormRunner *norm_runner_of_cpu;
