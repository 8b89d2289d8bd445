"""What the examples extract.rs, distance.rs and fid.rs do, with the package pytorch-fid, in the same form; and the
files that both are given. `cargo xtask bench eval` runs the two side by side.

    peer.py extract WEIGHTS IMAGES.npz OUT.npz [THREADS] [BATCH]
    peer.py distance A.npz B.npz [THREADS]
    peer.py fid WEIGHTS A.npz B.npz [THREADS]
    peer.py images BATCH.bin COUNT OUT.npz         the first images of a batch of CIFAR-10
    peer.py statistics SEED ROWS OUT.npz           mu and sigma of random features of full rank
    peer.py compare A.npz B.npz                    the largest difference of their features

The last line is JSON. Needs torch, torchvision, scipy and pytorch-fid. WEIGHTS is
pt_inception-2015-12-05-6726825d.pth, or the fetched TorchScript file, whose tensors are given pytorch-fid's names:
they come in the order of its modules, weight, beta, mean and variance of each convolution. Set the threads of BLAS
(OMP_NUM_THREADS) to the same number.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np


def state_dict(path, model):
    import torch

    try:
        script = torch.jit.load(path)
    except RuntimeError:
        return torch.load(path)
    theirs = iter([value.detach() for _, value in script.named_parameters()])
    ours = {}
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            prefix = name[: -len("bn")]
            ours[prefix + "conv.weight"] = next(theirs)
            ours[prefix + "bn.bias"] = next(theirs)
            ours[prefix + "bn.running_mean"] = next(theirs)
            ours[prefix + "bn.running_var"] = next(theirs)
            ours[prefix + "bn.weight"] = torch.ones_like(ours[prefix + "bn.bias"])
    return {**model.state_dict(), **ours}


def prepare(weights, threads):
    """Sets the threads, and makes pytorch-fid take the weights from the file instead of the web."""
    import torch
    from pytorch_fid import inception

    torch.set_num_threads(int(threads))
    torch.set_grad_enabled(False)
    empty = inception._inception_v3(num_classes=1008, aux_logits=False, weights=None)
    inception.load_state_dict_from_url = lambda *_, **__: state_dict(weights, empty)


def extract(weights, images, out, threads=1, batch=50):
    import torch
    from pytorch_fid import inception

    prepare(weights, threads)
    model = inception.InceptionV3([3]).eval()
    images = torch.from_numpy(np.load(images)["images"])
    step = lambda x: model(x.float() / 255)[0].squeeze(3).squeeze(2)
    step(images[:4])  # warm
    start = time.perf_counter()
    features = torch.cat([step(part) for part in images.split(int(batch))])
    seconds = time.perf_counter() - start
    np.savez(out, features=features.numpy())
    return {"images": len(images), "threads": int(threads), "seconds": seconds}


def distance(a, b, threads=1):
    from pytorch_fid import fid_score

    a, b = np.load(a), np.load(b)
    start = time.perf_counter()
    found = fid_score.calculate_frechet_distance(a["mu"], a["sigma"], b["mu"], b["sigma"])
    seconds = time.perf_counter() - start
    return {"distance": float(found), "threads": int(threads), "seconds": seconds}


def fid(weights, a, b, threads=1):
    """The whole of pytorch-fid: it reads folders of PNG files, as its command line does."""
    from PIL import Image
    from pytorch_fid import fid_score

    prepare(weights, threads)
    with tempfile.TemporaryDirectory() as root:
        folders = []
        for name, path in [("a", a), ("b", b)]:
            folder = Path(root, name)
            folder.mkdir()
            for number, image in enumerate(np.load(path)["images"]):
                Image.fromarray(image.transpose(1, 2, 0)).save(folder / f"{number:06}.png")
            folders.append(str(folder))
        found = fid_score.calculate_fid_given_paths(folders, 50, "cpu", 2048, num_workers=0)
    return {"distance": float(found)}


def images(batch, count, out):
    records = np.fromfile(batch, np.uint8).reshape(-1, 3073)[: int(count)]
    np.savez(out, images=records[:, 1:].reshape(-1, 3, 32, 32))
    return {"images": len(records)}


def statistics(seed, rows, out):
    width = 2048
    rng = np.random.default_rng(int(seed))
    mix = rng.standard_normal((width, width)) / np.sqrt(width)
    features = rng.standard_normal((int(rows), width)) @ mix + 0.1 * rng.standard_normal(width)
    np.savez(out, mu=features.mean(axis=0), sigma=np.cov(features, rowvar=False))
    return {"rows": int(rows)}


def compare(a, b):
    a, b = np.load(a)["features"], np.load(b)["features"]
    assert a.shape == b.shape, (a.shape, b.shape)
    # A NaN is not ignored by `max`, but is no JSON.
    assert np.isfinite(a).all() and np.isfinite(b).all()
    return {"difference": float(np.abs(a.astype(np.float64) - b).max())}


if __name__ == "__main__":
    commands = [extract, distance, fid, images, statistics, compare]
    print(json.dumps({f.__name__: f for f in commands}[sys.argv[1]](*sys.argv[2:])))
