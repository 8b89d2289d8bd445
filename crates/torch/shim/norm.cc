// Group norm with what comes before and after it, in one pass over memory forward and one backward: an addition per channel,
// the norm, a scale and shift per channel of the image, and SiLU. Only x is kept for the backward pass. On a GPU norm_gpu.cc
// computes the same.

#include <ATen/Parallel.h>
#include <ATen/record_function.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <vector>

#include "gpu.h"
#include "guard.h"
#include "kernels.h"
#include "norm_gpu.h"

namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

Tensor in(const Tensor &t, at::ScalarType kind) { return t.defined() ? t.to(kind).contiguous() : t; }

const Loops<float> &loops(float) { return kernels_for_this_cpu().f32; }
const Loops<double> &loops(double) { return kernels_for_this_cpu().f64; }

template <typename T>
const T *read(const Tensor &t) {
  return t.defined() ? t.const_data_ptr<T>() : nullptr;
}

template <typename T>
T *write(const Tensor &t) {
  return t.defined() ? t.mutable_data_ptr<T>() : nullptr;
}

// What is known of each channel, as plain pointers: groups are small and many, and to ask a tensor takes longer than to
// compute one.
template <typename T>
struct Channels {
  explicit Channels(const Inputs &in)
      : n(in.channels()),
        size(in.channels_of_group()),
        pixels(in.pixels()),
        weight(read<T>(in.weight)),
        bias(read<T>(in.bias)),
        before(read<T>(in.before)),
        scale_shift(read<T>(in.scale_shift)),
        silu(in.silu) {}

  // The group that begins with channel `first`.
  NormGroup<T> group(int64_t image, int64_t first) const {
    const T *scale = scale_shift ? scale_shift + image * 2 * n + first : nullptr;
    return {long(size),          long(pixels), weight + first, bias + first, before ? before + image * n + first : nullptr, scale,
            scale ? scale + n : nullptr, silu};
  }

  int64_t n, size, pixels;
  const T *weight, *bias, *before, *scale_shift;
  bool silu;
};

// The values of groups as T: where they are, or widened into a buffer.
template <typename T>
class Source {
 public:
  Source(const Tensor &t, int64_t size) : size_(size) {
    if (t.scalar_type() == at::kBFloat16) {
      narrow_ = reinterpret_cast<const uint16_t *>(t.const_data_ptr<at::BFloat16>());
      buffer_.resize(size);
    } else {
      wide_ = t.const_data_ptr<T>();
    }
  }

  const T *group(int64_t i) {
    if constexpr (std::is_same_v<T, float>) {
      if (narrow_) {
        kernels_for_this_cpu().widen(narrow_ + i * size_, buffer_.data(), size_);
        return buffer_.data();
      }
    }
    return wide_ + i * size_;
  }

 private:
  int64_t size_;
  const T *wide_ = nullptr;
  const uint16_t *narrow_ = nullptr;
  std::vector<T> buffer_;
};

// Where the values of groups are computed: in place, or in a buffer that `store` narrows.
template <typename T>
class Target {
 public:
  Target(const Tensor &t, int64_t size) : size_(size) {
    if (t.scalar_type() == at::kBFloat16) {
      narrow_ = reinterpret_cast<uint16_t *>(t.mutable_data_ptr<at::BFloat16>());
      buffer_.resize(size);
    } else {
      wide_ = t.mutable_data_ptr<T>();
    }
  }

  T *group(int64_t i) { return narrow_ ? buffer_.data() : wide_ + i * size_; }

  void store(int64_t i) {
    if constexpr (std::is_same_v<T, float>) {
      if (narrow_) kernels_for_this_cpu().narrow(buffer_.data(), narrow_ + i * size_, size_);
    }
  }

 private:
  int64_t size_;
  T *wide_ = nullptr;
  uint16_t *narrow_ = nullptr;
  std::vector<T> buffer_;
};

template <typename T>
void forward(const Inputs &in, const Tensor &y, const Tensor &stats) {
  const Channels<T> channels(in);
  auto *found = stats.mutable_data_ptr<double>();
  const auto norm = loops(T()).norm_forward;
  at::parallel_for(0, in.images() * in.groups, 1, [&](int64_t begin, int64_t end) {
    const int64_t size = channels.size * channels.pixels;
    Source<T> x(in.x, size);
    Target<T> out(y, size);
    for (int64_t i = begin; i < end; i++) {
      const auto g = channels.group(i / in.groups, i % in.groups * channels.size);
      norm(g, x.group(i), in.eps, out.group(i), found + 2 * i, found + 2 * i + 1);
      out.store(i);
    }
  });
}

template <typename T>
Gradients backward(const Inputs &in, const Tensor &dy, const Tensor &stats) {
  const auto like = [&](const Tensor &t) { return t.defined() ? at::empty_like(t) : t; };
  Gradients out{at::empty_like(in.x), at::zeros_like(in.weight), at::zeros_like(in.bias), like(in.before),
                like(in.scale_shift)};
  const Channels<T> channels(in);
  const int64_t c = channels.n, size = channels.size * channels.pixels;
  const auto *found = stats.const_data_ptr<double>();
  T *weight = write<T>(out.weight), *bias = write<T>(out.bias), *before = write<T>(out.before),
    *scale_shift = write<T>(out.scale_shift);
  const auto norm = loops(T()).norm_backward;
  // A group of all images at a time: they add to the same weights, in their order.
  at::parallel_for(0, in.groups, 1, [&](int64_t begin, int64_t end) {
    Source<T> x(in.x, size), grad(dy, size);
    Target<T> dx(out.x, size);
    std::vector<T> scratch(size);
    for (int64_t group = begin; group < end; group++) {
      const int64_t first = group * channels.size;
      for (int64_t image = 0; image < in.images(); image++) {
        const int64_t i = image * in.groups + group;
        T *scale = scale_shift ? scale_shift + image * 2 * c + first : nullptr;
        const NormSums<T> sums{weight + first, bias + first, before ? before + image * c + first : nullptr, scale,
                               scale ? scale + c : nullptr};
        norm(channels.group(image, first), x.group(i), grad.group(i), found[2 * i], found[2 * i + 1], scratch.data(),
             dx.group(i), sums);
        dx.store(i);
      }
    }
  });
  return out;
}

bool on_gpu(const Tensor &x) { return x.is_cuda() || norm_runner_of_cpu; }

Inputs wide_inputs(const Tensor &x, const Tensor &weight, const Tensor &bias, const Tensor &before,
                   const Tensor &scale_shift, int64_t groups, double eps, bool silu) {
  Inputs made{x.contiguous(on_gpu(x) ? order_on_gpu(x) : at::MemoryFormat::Contiguous), {}, {}, {}, {}, groups, eps, silu};
  made.weight = in(weight, made.wide());
  made.bias = in(bias, made.wide());
  made.before = in(before, made.wide());
  made.scale_shift = in(scale_shift, made.wide());
  return made;
}

struct Norm : torch::autograd::Function<Norm> {
  static Tensor forward(AutogradContext *ctx, const Tensor &x, const Tensor &weight, const Tensor &bias,
                        const std::optional<Tensor> &before, const std::optional<Tensor> &scale_shift, int64_t groups,
                        double eps, bool silu) {
    const Tensor added = before.value_or(Tensor()), affine = scale_shift.value_or(Tensor());
    RECORD_FUNCTION("fewstep::group_norm", std::vector<c10::IValue>());
    const Inputs in = wide_inputs(x, weight, bias, added, affine, groups, eps, silu);
    const Tensor y = at::empty_like(in.x);
    Tensor stats;
    if (on_gpu(x)) {
      norm_forward_on_gpu(in, y, &stats);
    } else if (stats = at::empty({in.images() * groups, 2}, at::kDouble); in.wide() == at::kDouble) {
      ::forward<double>(in, y, stats);
    } else {
      ::forward<float>(in, y, stats);
    }
    ctx->save_for_backward({in.x, weight, bias, added, affine, stats});
    ctx->saved_data["groups"] = groups;
    ctx->saved_data["eps"] = eps;
    ctx->saved_data["silu"] = silu;
    return y;
  }

  static variable_list backward(AutogradContext *ctx, variable_list grads) {
    RECORD_FUNCTION("fewstep::group_norm_backward", std::vector<c10::IValue>());
    const auto saved = ctx->get_saved_variables();
    const Inputs in = wide_inputs(saved[0], saved[1], saved[2], saved[3], saved[4], ctx->saved_data["groups"].toInt(),
                                  ctx->saved_data["eps"].toDouble(), ctx->saved_data["silu"].toBool());
    const bool gpu = on_gpu(in.x);
    const Tensor dy = grads[0].to(in.x.scalar_type()).contiguous(gpu ? order_on_gpu(in.x) : at::MemoryFormat::Contiguous);
    const Gradients out = gpu                          ? norm_backward_on_gpu(in, dy, saved[5])
                          : in.wide() == at::kDouble ? ::backward<double>(in, dy, saved[5])
                                                     : ::backward<float>(in, dy, saved[5]);
    const auto back = [](const Tensor &gradient, const Tensor &of) {
      return gradient.defined() ? gradient.to(of.scalar_type()) : gradient;
    };
    const Tensor none;
    return {out.x,
            back(out.weight, saved[1]),
            back(out.bias, saved[2]),
            back(out.before, saved[3]),
            back(out.scale_shift, saved[4]),
            none,
            none,
            none};
  }
};

}  // namespace

extern "C" {

// Writes a new tensor to `out`. `before` and `scale_shift` may be null. x is f32, f64 or bf16, and the others of any floating
// kind. On a GPU whose kernels are not there, or take no such x, it writes null, and why to `message`.
int fewstep_group_norm(const void *x, const void *weight, const void *bias, const void *before,
                       const void *scale_shift, int64_t groups, double eps, int silu, void **out, char *message,
                       size_t capacity) {
  return guarded(message, capacity, [&] {
    const Tensor &values = tensor(x);
    TORCH_CHECK(values.dim() >= 2 && values.numel() > 0, "group norm of a tensor of size ", values.sizes());
    const int64_t n = values.size(0), c = values.size(1);
    TORCH_CHECK(groups > 0 && c % groups == 0, "group norm of ", c, " channels in ", groups, " groups");
    const auto sized = [&](const Tensor &t, at::IntArrayRef size, const char *what) {
      TORCH_CHECK(!t.defined() || t.sizes() == size, "group norm: ", what, " of size ", t.sizes(), ", expected ", size);
    };
    sized(tensor(weight), {c}, "weight");
    sized(tensor(bias), {c}, "bias");
    sized(optional(before), {n, c}, "what is added before");
    sized(optional(scale_shift), {n, 2 * c}, "scale and shift");
    std::string why;
    if (on_gpu(values) && !norm_runs_on_gpu(values, groups, &why)) {
      *out = nullptr;
      say(message, capacity, why.c_str());
      return;
    }
    // An undefined tensor is no argument that autograd takes.
    const auto given = [](const void *p) { return p ? std::optional<Tensor>(tensor(p)) : std::nullopt; };
    *out = new Tensor(Norm::apply(values, tensor(weight), tensor(bias), given(before), given(scale_shift), groups, eps,
                                  silu != 0));
  });
}

}  // extern "C"
