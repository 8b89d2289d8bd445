"""What `fewstep bench step` and `fewstep bench sample` time, in plain PyTorch, as a good practitioner would write it.

    peer.py step   NETWORK.json --batch 16 [--compute f32|tf32|bf16] [--compile] [--device cpu] [--threads 2] [--seconds 10]
    peer.py sample NETWORK.json --batch 16 --steps 1 ...

NETWORK.json is what `fewstep bench network` prints: a U-Net of DDPM that predicts v. The last line is JSON: seconds of each repetition after the warm-up,
and images per repetition. bf16 is autocast, with f32 weights, as PyTorch's own guide has it; weights, Adam and averages are
f32, and Adam and the averages use the fused and `foreach` forms, which are the fastest that PyTorch has.
"""

import argparse
import contextlib
import json
import math
import time

import torch

from network import UNet


def arguments():
    p = argparse.ArgumentParser()
    p.add_argument("what", choices=["step", "sample"])
    p.add_argument("network")
    p.add_argument("--batch", type=int, required=True)
    p.add_argument("--steps", type=int, default=1)
    p.add_argument("--compute", default="f32", choices=["f32", "tf32", "bf16"])
    p.add_argument("--compile", action="store_true")
    p.add_argument("--channels-last", action="store_true")
    p.add_argument("--device", default="cpu")
    p.add_argument("--threads", type=int, default=0)
    p.add_argument("--seconds", type=float, default=10)
    p.add_argument("--profile", action="store_true")
    return p.parse_args()


def levels(t):
    """The cosine schedule: alpha and sigma at times `t`, and the time input of the network."""
    u = t
    alpha, sigma = torch.cos(u * math.pi / 2), torch.sin(u * math.pi / 2)
    return alpha, sigma, 1000 * u


def column(v):
    return v[:, None, None, None]


class Denoiser:
    """x0 of a network that predicts v, clipped."""

    def __init__(self, network, args):
        self.network = network
        bf16 = args.compute == "bf16"
        self.context = torch.autocast(args.device, torch.bfloat16) if bf16 else contextlib.nullcontext()
        self.layout = torch.channels_last if args.channels_last else torch.contiguous_format

    def __call__(self, x, at):
        alpha, sigma, time = at
        with self.context:
            v = self.network(x.contiguous(memory_format=self.layout), time)
        return column(alpha) * x - column(sigma) * v.float()


def moved(x, x0, at, to):
    """The DDIM step from `at` to `to`."""
    (alpha, sigma, _), (alpha_s, sigma_s, _) = at, to
    r = sigma_s / sigma
    return column(r) * x + column(alpha_s - r * alpha) * x0


class Step:
    """One step of TRACT: 1024 teacher steps, 32 student steps, self-teacher and inference averages, Adam, clipping."""

    def __init__(self, config, args):
        make = lambda: UNet(config).to(args.device).to(
            memory_format=torch.channels_last if args.channels_last else torch.contiguous_format
        )
        self.student, teacher, average, inference = make(), make(), make(), make()
        for m in (teacher, average, inference):
            m.load_state_dict(self.student.state_dict())
            m.requires_grad_(False)
        self.averages = [(list(average.parameters()), 0.5), (list(inference.parameters()), 0.9999)]
        compiled = (lambda m: torch.compile(m)) if args.compile else (lambda m: m)
        self.f, self.g, self.h = (Denoiser(compiled(m), args) for m in (teacher, average, self.student))
        self.adam = torch.optim.Adam(self.student.parameters(), lr=1e-4, fused=True)
        c, r = config["image_channels"], config["resolution"]
        self.images = torch.rand(args.batch, c, r, r).mul_(2).sub_(1)
        self.device = args.device

    def __call__(self):
        x0 = self.images.to(self.device, non_blocking=True)
        n = x0.shape[0]
        noise = torch.randn_like(x0)
        steps, size = 1024, 32
        group = torch.randint(steps // size, (n,), device=x0.device)
        sub = torch.randint(1, size + 1, (n,), device=x0.device)
        at = lambda i: levels(i / steps)
        t, s, start = at(group * size + sub), at(group * size + sub - 1), at(group * size)
        with torch.no_grad():
            x_t = column(t[0]) * x0 + column(t[1]) * noise
            teacher_x0 = self.f(x_t, t).clamp(-1, 1)
            x_s = moved(x_t, teacher_x0, t, s)
            jump = self.g(x_s, s).clamp(-1, 1)
            still = column(sub == 1)
            safe = tuple(torch.where(sub == 1, a, b) for a, b in zip(t, s))
            x_i = torch.where(still, x_s, moved(x_s, jump, safe, start))
            r = start[1] / t[1]
            target = (x_i - column(r) * x_t) / column(start[0] - r * t[0])
            weight = (t[0] / t[1]).square().clamp(min=1)
        error = (self.h(x_t, t) - target).square().flatten(1).sum(1)
        loss = (weight * error).mean()
        self.adam.zero_grad(set_to_none=True)
        loss.backward()
        parameters = list(self.student.parameters())
        torch.nn.utils.clip_grad_norm_(parameters, 1.0, foreach=True)
        self.adam.step()
        with torch.no_grad():
            for average, decay in self.averages:
                torch._foreach_lerp_(average, parameters, 1 - decay)
        return loss


class Sample:
    """DDIM over so many steps from noise."""

    def __init__(self, config, args):
        network = UNet(config).to(args.device).requires_grad_(False)
        self.f = Denoiser(torch.compile(network) if args.compile else network, args)
        self.size = [args.batch, config["image_channels"], config["resolution"], config["resolution"]]
        self.steps, self.device = args.steps, args.device

    @torch.no_grad()
    def __call__(self):
        x = torch.randn(self.size, device=self.device)
        ones = torch.ones(x.shape[0], device=self.device)
        for i in range(self.steps, 0, -1):
            t, s = levels(ones * i / self.steps), levels(ones * (i - 1) / self.steps)
            x = moved(x, self.f(x, t).clamp(-1, 1), t, s)
        return x


def main():
    args = arguments()
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = args.compute == "tf32"
    torch.backends.cudnn.benchmark = True
    with open(args.network) as f:
        model = json.load(f)
    config = model["network"]
    assert config["kind"] == "ddpm_unet" and config["affine_time"] and model["prediction"] == "v", model
    once = {"step": Step, "sample": Sample}[args.what](config, args)
    wait = torch.cuda.synchronize if args.device.startswith("cuda") else lambda: None

    def timed():
        wait()
        start = time.perf_counter()
        once()
        wait()
        return time.perf_counter() - start

    first = [timed() for _ in range(3)]
    if args.profile:
        with torch.profiler.profile() as p:
            once()
        print(p.key_averages().table(sort_by="self_cpu_time_total", row_limit=25))
    n = max(2, math.ceil(args.seconds / first[-1]))
    seconds = [timed() for _ in range(n)]

    count = sum(p.numel() for p in once.student.parameters()) if args.what == "step" else None
    print(json.dumps({"images": args.batch, "seconds": seconds, "parameters": count}))


if __name__ == "__main__":
    main()
