"""Exported folders as ONNX, by the recipe of docs/teachers.md, against the network that the package itself has.

Reads a list of {folder, labels} from standard input, labels being the number of classes. It fails where onnxruntime's numbers
are not those of the package, at any timestep of the scheduler, or where a whole sample made with them is not.
"""

import json
import os
import pathlib
import sys
import warnings

# No bars in a test's output.
os.environ["TQDM_DISABLE"] = "1"

import numpy as np
import onnxruntime
import torch
from diffusers import DDIMPipeline

N = 4
# Of an output or an image about as large as 1.
TOLERANCE = 1e-4


def write(pipe, x, t, labels, path):
    with warnings.catch_warnings():
        # Of tracing, on branches over shapes, and of the exporter's age.
        warnings.simplefilter("ignore")
        if labels is None:
            # The recipe.
            torch.onnx.export(pipe.unet, (x, t), path, opset_version=17, dynamo=False)
        else:
            torch.onnx.export(pipe.unet, (x, t, labels), path, opset_version=17, dynamo=False)


def check(case):
    folder = pathlib.Path(case["folder"])
    pipe = DDIMPipeline.from_pretrained(folder)
    config = pipe.unet.config
    torch.manual_seed(0)
    z = torch.randn(N, config.in_channels, config.sample_size, config.sample_size)
    labels = torch.arange(N) if case["labels"] else None
    pipe.scheduler.set_timesteps(len(json.loads((folder / "fewstep.json").read_text())["visits"]) - 1)
    steps = pipe.scheduler.timesteps
    path = folder / "student.onnx"
    write(pipe, z, steps[0], labels, path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [node.name for node in session.get_inputs()]
    assert len(names) == 2 + (labels is not None), names

    def by_onnx(x, t):
        values = [x, t] if labels is None else [x, t, labels]
        [out] = session.run(None, {name: value.numpy() for name, value in zip(names, values)})
        return torch.from_numpy(out)

    def by_package(x, t):
        return pipe.unet(x, t, class_labels=labels).sample

    worst, outputs, images = 0.0, [], []
    with torch.no_grad():
        for t in steps:
            outputs.append(by_package(z, t))
            worst = max(worst, (by_onnx(z, t) - outputs[-1]).abs().max().item())
        for network in (by_onnx, by_package):
            x = z
            for t in steps:
                x = pipe.scheduler.step(network(x, t), t, x).prev_sample
            images.append(x)
    sample = (images[0] - images[1]).abs().max().item()
    # The time is an input, not a constant of the trace.
    assert (outputs[0] - outputs[-1]).abs().max() > 100 * TOLERANCE, "the time makes no difference"
    print(f"{folder.name}: outputs within {worst:.1e}, samples of {len(steps)} steps within {sample:.1e}", flush=True)
    assert worst < TOLERANCE and sample < TOLERANCE and np.isfinite(sample), folder


def main():
    torch.set_num_threads(1)
    for case in json.load(sys.stdin):
        check(case)


main()
