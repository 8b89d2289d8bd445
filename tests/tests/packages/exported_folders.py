"""Runs the Python lines of exported folders' model cards on given noise.

Reads a list of {folder} from standard input. Each folder holds z.npy, [N, C, H, W]; images.npy is written beside it, of the
same shape, from 0 to 1, before rounding. Lines that name four labels get the noise in fours: image i has label i modulo 4.
"""

import json
import os
import pathlib
import re
import sys
from unittest import mock

# No bars in a test's output.
os.environ["TQDM_DISABLE"] = "1"

import numpy as np
import torch
from diffusers import DDIMPipeline

# Images and labels in the lines of a card.
AT_ONCE = 4
NOISE = "diffusers.pipelines.ddim.pipeline_ddim.randn_tensor"


def lines(folder):
    [code] = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    assert '"path/to/this/folder"' in code, code
    return code.replace('"path/to/this/folder"', repr(str(folder)))


def run(code, z):
    """Images [n, C, H, W] of the lines. All that they do not do as they stand is to draw their own noise and to round."""
    asked = []

    def noise(*shape, **_):
        asked.append(tuple(shape[0]) if len(shape) == 1 else shape)
        return z.clone()

    names = {}
    with (
        mock.patch(NOISE, noise),
        mock.patch("torch.randn", noise),
        mock.patch.object(DDIMPipeline, "numpy_to_pil", staticmethod(lambda images: images)),
        mock.patch.object(DDIMPipeline, "progress_bar", lambda _, steps: steps),
    ):
        exec(code, names)
    assert asked == [(AT_ONCE, *z.shape[1:])], f"{asked} in\n{code}"
    images = names["images"]
    return images.numpy() if isinstance(images, torch.Tensor) else images.transpose(0, 3, 1, 2)


def main():
    torch.set_num_threads(1)
    for case in json.load(sys.stdin):
        folder = pathlib.Path(case["folder"])
        code, z = lines(folder), torch.from_numpy(np.load(folder / "z.npy"))
        # A pipeline takes noise of any number of images.
        parts = z.split(AT_ONCE) if "labels" in code else [z]
        images = np.concatenate([run(code, part) for part in parts])
        assert images.shape == tuple(z.shape), images.shape
        np.save(folder / "images.npy", np.ascontiguousarray(images))


main()
