"""A small teacher by diffusers: its U-Net, its DDPM noise, AdamW, and an average of the weights.

    python examples/diffusers_teacher.py fashion16.npz ./fashion-teacher --minutes 15

The archive is one of `fewstep dataset`: images u8 [N, H, W, C] under `arr_0`. What comes out is a folder that
`DDPMPipeline.from_pretrained` loads, and `fewstep train --teacher` distils. Needs diffusers and NumPy.
"""

import argparse
import time

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel
from diffusers.training_utils import EMAModel

BATCH = 64
RATE = 1e-3

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("images")
parser.add_argument("out")
parser.add_argument("--minutes", type=float, default=15)
args = parser.parse_args()

torch.manual_seed(0)
images = torch.from_numpy(np.load(args.images)["arr_0"]).permute(0, 3, 1, 2).contiguous()
channels, size = images.shape[1], images.shape[2]
network = UNet2DModel(
    sample_size=size,
    in_channels=channels,
    out_channels=channels,
    layers_per_block=1,
    block_out_channels=(32, 64),
    down_block_types=("DownBlock2D", "AttnDownBlock2D"),
    up_block_types=("AttnUpBlock2D", "UpBlock2D"),
)
scheduler = DDPMScheduler(num_train_timesteps=1000)
optimizer = torch.optim.AdamW(network.parameters(), lr=RATE)
average = EMAModel(network.parameters(), decay=0.995, use_ema_warmup=True, power=0.75)

start, step = time.monotonic(), 0
while (done := (time.monotonic() - start) / (60 * args.minutes)) < 1:
    # The rate rises over 200 steps, and falls with the time that is left.
    for group in optimizer.param_groups:
        group["lr"] = RATE * min(1, step / 200) * max(0.02, 1 - done)
    x0 = images[torch.randint(len(images), (BATCH,))].float() / 127.5 - 1
    noise, t = torch.randn_like(x0), torch.randint(1000, (BATCH,))
    loss = F.mse_loss(network(scheduler.add_noise(x0, noise, t), t).sample, noise)
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimizer.step()
    average.step(network.parameters())
    step += 1
    if step % 100 == 0:
        print(f"{step} steps, loss {loss.item():.4f}, {100 * done:.0f} % of the time", flush=True)

average.copy_to(network.parameters())
DDPMPipeline(unet=network, scheduler=scheduler).save_pretrained(args.out)
print(f"{step} steps of {BATCH} images; wrote {args.out}")
