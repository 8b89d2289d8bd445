// How the kernels of norm.cu are laid over a tensor: which of them, in how many blocks, of how many threads.

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <c10/core/DeviceGuard.h>

#include <algorithm>
#include <cstdint>
#include <limits>

#include "gpu.h"
#include "norm_gpu.h"

thread_local NormRunner *norm_runner_of_cpu = nullptr;

namespace {

using at::Tensor;

// The widest word that a thread reads, and the bytes of neighbouring threads that make a transfer worth its while.
constexpr int64_t WORD = 16, TRANSFER = 128;
// Channels of a block times lanes, at most: it shares three sums for each.
constexpr int64_t MOST_SUMS = 2048;
// What a thread should read at least, in words, so that sums over threads are not most of the work.
constexpr int64_t WORDS_PER_THREAD = 4;

NormRunner &runner(const Tensor &x) {
  return x.is_cuda() ? norm_runner_of_gpu(x.device().index()) : *norm_runner_of_cpu;
}

int64_t power_of_two_below(int64_t n) {
  int64_t p = 1;
  while (2 * p <= n) p *= 2;
  return p;
}

struct Plan {
  NormVariant variant;
  int64_t blocks;
  int groups_of_block, lanes, columns;
};

Plan plan(const Tensor &x, int64_t groups) {
  const bool last = order_on_gpu(x) == at::MemoryFormat::ChannelsLast;
  const int64_t images = x.size(0), width = x.size(1) / groups, pixels = x.numel() / (images * x.size(1));
  const int64_t bytes = x.element_size(), row = last ? width : pixels;
  const auto address = reinterpret_cast<uintptr_t>(x.const_data_ptr());
  int64_t vector = WORD / bytes;
  while (row % vector != 0 || address % (vector * bytes) != 0) vector /= 2;
  const int64_t of_slot = last ? vector : 1, slots_of_group = width / of_slot;
  const int64_t vectors = last ? pixels : pixels / vector;
  // Channels that are neighbours are read together where they fill no transfer by themselves.
  int64_t taken = 1;
  if (last) taken = std::clamp(TRANSFER / (bytes * width), int64_t(1), groups);
  if (taken * slots_of_group > MOST_THREADS) taken = 1;
  const int64_t slots = taken * slots_of_group, channels = taken * width;
  const int64_t threads = std::clamp(slots * vectors / WORDS_PER_THREAD, int64_t(32), int64_t(MOST_THREADS));
  int64_t columns = taken > 1 ? slots : 0, lanes;
  if (last) {
    columns = std::min(slots, int64_t(MOST_THREADS));
    lanes = std::max(threads / columns, int64_t(1));
  } else {
    lanes = std::min(power_of_two_below(vectors), power_of_two_below(threads));
  }
  lanes = std::clamp(std::min(lanes, MOST_SUMS / channels), int64_t(1), std::max(vectors, int64_t(1)));
  if (columns == 0) columns = std::min(slots, threads / lanes);
  const int64_t blocks = images * ((groups + taken - 1) / taken);
  return {{x.scalar_type() == at::kBFloat16, last, int(vector)}, blocks, int(taken), int(lanes), int(columns)};
}

template <typename T>
T *pointer(const Tensor &t) {
  return t.defined() ? t.mutable_data_ptr<T>() : nullptr;
}

NormArgs arguments(const Inputs &in, const Plan &p, const Tensor &stats) {
  NormArgs a{};
  a.x = in.x.const_data_ptr();
  a.weight = in.weight.const_data_ptr<float>();
  a.bias = in.bias.const_data_ptr<float>();
  a.before = in.before.defined() ? in.before.const_data_ptr<float>() : nullptr;
  a.scale_shift = in.scale_shift.defined() ? in.scale_shift.const_data_ptr<float>() : nullptr;
  a.stats = pointer<float>(stats);
  a.d_bias_from = in.images() * in.channels();
  a.eps = float(in.eps);
  a.silu = in.silu;
  a.channels = int(in.channels());
  a.groups = int(in.groups);
  a.width = int(in.channels_of_group());
  a.pixels = int(in.pixels());
  a.groups_of_block = p.groups_of_block;
  a.lanes = p.lanes;
  a.columns = p.columns;
  return a;
}

NormLaunch launch(const Plan &p, const NormArgs &a, bool backward) {
  const size_t threads = size_t(p.columns) * p.lanes;
  const size_t channels = size_t(p.groups_of_block) * a.width;
  const size_t floats = backward ? 3 * channels * p.lanes + 2 * p.groups_of_block : 2 * threads;
  return {p.variant, backward, int(p.blocks), int(threads), floats * sizeof(float)};
}

}  // namespace

at::MemoryFormat order_on_gpu(const Tensor &x) {
  const bool last = x.dim() == 4 && x.is_contiguous(at::MemoryFormat::ChannelsLast);
  const bool either = last && x.is_contiguous();
  // Of one pixel both are true; then channels are what there is to share among threads.
  return last && (!either || x.numel() == x.size(0) * x.size(1)) ? at::MemoryFormat::ChannelsLast
                                                                 : at::MemoryFormat::Contiguous;
}

bool norm_runs_on_gpu(const Tensor &x, int64_t groups, std::string *why) {
  try {
    TORCH_CHECK(x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16, "they take no ", x.scalar_type());
    TORCH_CHECK(x.size(1) / groups <= MOST_SUMS, "they take no group of ", x.size(1) / groups, " channels");
    const Plan p = plan(x.contiguous(order_on_gpu(x)), groups);
    TORCH_CHECK(p.blocks <= std::numeric_limits<int>::max(), "they take no ", x.size(0), " images");
    runner(x).prepare(p.variant);
    return true;
  } catch (const c10::Error &e) {
    *why = e.what_without_backtrace();
  } catch (const std::exception &e) {
    *why = e.what();
  }
  return false;
}

void norm_forward_on_gpu(const Inputs &in, const Tensor &y, Tensor *stats) {
  const c10::DeviceGuard guard(in.x.device());
  *stats = at::empty({in.images(), in.groups, 2}, in.weight.options());
  const Plan p = plan(in.x, in.groups);
  NormArgs a = arguments(in, p, *stats);
  a.out = y.mutable_data_ptr();
  runner(in.x).run(launch(p, a, false), a);
}

Gradients norm_backward_on_gpu(const Inputs &in, const Tensor &given, const Tensor &stats) {
  const c10::DeviceGuard guard(in.x.device());
  const Plan p = plan(in.x, in.groups);
  const auto address = reinterpret_cast<uintptr_t>(given.const_data_ptr());
  const Tensor dy = address % (p.variant.vector * given.element_size()) == 0 ? given : given.clone();
  const auto like = [](const Tensor &t) { return t.defined() ? at::empty_like(t) : t; };
  const Tensor by_image = at::empty({2, in.images(), in.channels()}, in.weight.options());
  Gradients out{at::empty_like(in.x), {}, {}, like(in.before), like(in.scale_shift)};
  NormArgs a = arguments(in, p, stats);
  a.dy = dy.const_data_ptr();
  a.out = out.x.mutable_data_ptr();
  a.d_params = pointer<float>(by_image);
  a.d_before = pointer<float>(out.before);
  a.d_scale_shift = pointer<float>(out.scale_shift);
  runner(in.x).run(launch(p, a, true), a);
  // libtorch adds the images in one order, too.
  const Tensor sums = by_image.sum(1);
  out.weight = sums[0];
  out.bias = sums[1];
  return out;
}
