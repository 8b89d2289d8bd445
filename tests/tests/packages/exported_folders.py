"""Samples exported pipelines from given noise, as their model cards say.

Reads a list of {folder, steps} from standard input. Each folder holds z.npy, [N, C, H, W]; images.npy is written beside it,
of the same shape, from 0 to 1.
"""

import json
import pathlib
import sys
from unittest import mock

import numpy as np
import torch
from diffusers import DDIMPipeline


def main():
    torch.set_num_threads(1)
    for case in json.load(sys.stdin):
        folder = pathlib.Path(case["folder"])
        z = torch.from_numpy(np.load(folder / "z.npy"))
        pipe = DDIMPipeline.from_pretrained(folder)
        pipe.set_progress_bar_config(disable=True)
        # The call draws its own noise; everything else is the ordinary call.
        with mock.patch("diffusers.pipelines.ddim.pipeline_ddim.randn_tensor", lambda *_, **__: z.clone()):
            images = pipe(batch_size=len(z), num_inference_steps=case["steps"], output_type="np").images
        np.save(folder / "images.npy", np.ascontiguousarray(images.transpose(0, 3, 1, 2)))


main()
