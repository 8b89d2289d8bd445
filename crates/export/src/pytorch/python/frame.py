"""{{about}}

    import torch, model
    network = model.load()
    images = model.sample(network, torch.randn(4, {{shape}}){{labels}})

`images` are f64 [4, {{shape}}], nominally in [-1, 1]. As a program:

    python model.py noise.npy images.npy{{labels_file}}

Needs torch and safetensors, and NumPy for the program.
"""

import math
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

# The network.
CONFIG = {{config}}

# Images that the network puts out per image.
HEADS = {{heads}}

# The steps from noise to image. At each the network answers, with the images F_k that it puts out,
#     x0 = c_skip * x + sum_k c_out[k] * F_k(c_in * x, time),
# and DDIM (arXiv 2010.02502) goes from the level alpha, sigma to the level alpha_to, sigma_to.
STEPS = {{steps}}

# The first state is the noise times this.
NOISE_SCALE = {{noise_scale}}

# x0 is clamped to [-CLIP, CLIP]; None: it is not.
CLIP = {{clip}}

# Whether a step keeps the noise of x0 before it is clamped.
KEEPS_NOISE = {{keeps_noise}}

{{network}}

def load(folder=Path(__file__).parent, device="cpu"):
    """The network with the weights in `folder`."""
    tensors = load_file(str(Path(folder) / "model.safetensors"), device=str(device))
    tensors = {name.removeprefix("{{prefix}}"): tensor for name, tensor in tensors.items() if name != "u"}
    network = Network().to(device=device, dtype=next(iter(tensors.values())).dtype)
    network.load_state_dict(tensors)
    return network.eval().requires_grad_(False)


@torch.no_grad()
def sample(network, noise, labels=None):
    """Images, f64 [B, C, H, W], from standard normal noise of that shape; `labels`, int64 [B], where there are classes."""
    dtype = next(network.parameters()).dtype
    x = noise.double() * NOISE_SCALE
    for step in STEPS:
        time = torch.full((len(x),), step["time"], dtype=torch.float64, device=x.device)
        out = network((step["c_in"] * x).to(dtype), time, labels).double()
        images = out.chunk(HEADS, 1)
        x0 = step["c_skip"] * x + sum(c * image for c, image in zip(step["c_out"], images))
        clamped = x0 if CLIP is None else x0.clamp(-CLIP, CLIP)
        eps = (x - step["alpha"] * (x0 if KEEPS_NOISE else clamped)) / step["sigma"]
        x = step["alpha_to"] * clamped + step["sigma_to"] * eps
    return x


if __name__ == "__main__":
    import numpy as np

    noise = torch.from_numpy(np.load(sys.argv[1]))
    labels = torch.from_numpy(np.load(sys.argv[3])).long() if len(sys.argv) > 3 else None
    np.save(sys.argv[2], sample(load(), noise, labels).float().numpy())
