"""Makes files of denoising_diffusion_pytorch and the numbers that the package computes with them.

Standard input is a JSON list of cases, which tests/tests/packages/main.rs draws. For each, a diffusion and its average have
random weights and are saved as the package's trainer saves them, and `expect.safetensors` is put beside the file, as the
vectors of tests/golden/teachers/lucidrains have it.
"""

import contextlib
import inspect
import json
import os
import pathlib
import sys

os.environ["TQDM_DISABLE"] = "1"

import torch
from denoising_diffusion_pytorch import denoising_diffusion_pytorch as package
from ema_pytorch import EMA
from safetensors.torch import save_file

STEPS = 10


def unrounded():
    """The package's diffusion with its tables as they are computed, in float64, before they are stored in float32."""
    source = inspect.getsource(package.GaussianDiffusion)
    wide = source.replace("val.to(torch.float32)", "val")
    assert wide != source, "the package does not round its tables any more"
    scope = dict(vars(package))
    exec(compile(wide, inspect.getfile(package), "exec"), scope)
    return scope["GaussianDiffusion"]


WIDE = unrounded()


@contextlib.contextmanager
def double():
    """Sinusoids are of the default kind."""
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


def network(case):
    """JSON has no tuples, which the package tells from numbers."""
    return package.Unet(**{key: tuple(v) if isinstance(v, list) else v for key, v in case["unet"].items()})


def randomize(model):
    """No layer is zero, and no gain is one."""
    for name, p in model.named_parameters():
        if name.endswith(".g"):
            p.data = torch.randn(p.shape) * 0.3 + 1.0
        elif name.endswith("bias"):
            p.data = torch.randn(p.shape) * 0.2
        else:
            p.data = p.data * (1.0 + 0.2 * torch.randn(p.shape))


def stepped(diffusion):
    """An optimizer that has something to save."""
    optimizer = torch.optim.Adam(diffusion.parameters(), lr=1e-4)
    for p in diffusion.parameters():
        p.grad = torch.randn(p.shape)
    optimizer.step()
    return optimizer.state_dict()


def save(case, diffusion, average, path):
    data = {
        "step": 1000,
        "model": diffusion.state_dict(),
        "opt": stepped(diffusion),
        "ema": average.state_dict(),
        "scaler": {} if case["scaler"] else None,
        "version": package.__version__,
    }
    torch.save(data, path, _use_new_zipfile_serialization=case["zip"])


def widened(case, diffusion):
    """The network in float64 under tables that are not rounded."""
    model = network(case)
    model.load_state_dict(diffusion.model.state_dict())
    wide = WIDE(model, **case["diffusion"]).double().eval()
    wide.unnormalize = lambda x: x
    return wide


def expect(case, diffusion, average):
    raw, wide = widened(case, diffusion), widened(case, average.ema_model)
    channels, size, n = wide.channels, case["diffusion"]["image_size"], wide.num_timesteps
    shape = (4, channels, size, size)
    t = torch.tensor([0, 1, n // 2, n - 1])
    x = torch.randn(shape).double()
    with double():
        out, out_raw = wide.model(x, t), raw.model(x, t)
        noise, x0, *_ = wide.model_predictions(x, t)
        seed = case["seed"] + 1
        torch.manual_seed(seed)
        z = torch.randn(2, *shape[1:])
        # It begins by drawing them again.
        torch.manual_seed(seed)
        sample = wide.ddim_sample(z.shape)
    times = torch.linspace(-1, n - 1, steps=STEPS + 1).int().tolist()
    tensors = {
        "x": x,
        "timesteps": t,
        "model_out": out,
        "model_out_raw_weights": out_raw,
        "x0_hat": x0,
        "noise_hat": noise,
        "alphas_cumprod": wide.alphas_cumprod,
        "alphas_cumprod_stored": diffusion.alphas_cumprod,
        "ddim.z": z,
        "ddim.timesteps": torch.tensor(times[::-1]),
        "ddim.out": sample,
    }
    metadata = {
        "case": "teacher",
        "family": "lucidrains",
        "name": case["name"],
        "diffusion_args": json.dumps(case["diffusion"]),
    }
    return {name: tensor.contiguous().clone() for name, tensor in tensors.items()}, metadata


def main():
    torch.set_num_threads(1)
    for case in json.load(sys.stdin):
        torch.manual_seed(case["seed"])
        folder = pathlib.Path(case["folder"])
        folder.mkdir(parents=True)
        try:
            diffusion = package.GaussianDiffusion(network(case), **case["diffusion"]).eval()
            randomize(diffusion)
            average = EMA(diffusion, beta=0.995, update_every=10)
            average.update()
            randomize(average.ema_model)
            save(case, diffusion, average, folder / "model-1.pt")
            with torch.no_grad():
                tensors, metadata = expect(case, diffusion, average)
            save_file(tensors, folder / "expect.safetensors", metadata)
        except Exception as error:
            raise RuntimeError(f"the package fails on {json.dumps(case)}") from error


main()
