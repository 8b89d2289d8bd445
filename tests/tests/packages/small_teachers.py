"""Trains small pipelines of diffusers for some steps or seconds each, and saves them as anyone would.

Reads a list of {folder, prediction, budget, images} from standard input; budget is {steps} or {seconds}, and images is an archive of `fewstep dataset`, u8
[N, H, W, C] under arr_0.
"""

import json
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel

BATCH = 64
RATE = 2e-3


def wanted(scheduler, prediction, x0, noise, t):
    if prediction == "epsilon":
        return noise
    return x0 if prediction == "sample" else scheduler.get_velocity(x0, noise, t)


def train(case):
    torch.manual_seed(0)
    images = torch.from_numpy(np.load(case["images"])["arr_0"]).permute(0, 3, 1, 2).float() / 127.5 - 1
    _, channels, size, _ = images.shape
    network = UNet2DModel(
        sample_size=size,
        in_channels=channels,
        out_channels=channels,
        layers_per_block=1,
        block_out_channels=(16, 32),
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        norm_num_groups=8,
    )
    scheduler = DDPMScheduler(num_train_timesteps=1000, prediction_type=case["prediction"])
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE)
    start, steps, done, budget = time.monotonic(), 0, 0.0, case["budget"]
    while done < 1:
        for group in optimizer.param_groups:
            group["lr"] = RATE * max(0.02, 1 - done)
        x0 = images[torch.randint(len(images), (BATCH,))]
        noise, t = torch.randn_like(x0), torch.randint(1000, (BATCH,))
        output = network(scheduler.add_noise(x0, noise, t), t).sample
        loss = F.mse_loss(output, wanted(scheduler, case["prediction"], x0, noise, t))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        steps += 1
        done = steps / budget["steps"] if "steps" in budget else (time.monotonic() - start) / budget["seconds"]
    DDPMPipeline(unet=network, scheduler=scheduler).save_pretrained(case["folder"])
    print(f"{case['prediction']}: {steps} steps, last loss {loss.item():.3f}", flush=True)


def main():
    torch.set_num_threads(1)
    for case in json.load(sys.stdin):
        train(case)


main()
