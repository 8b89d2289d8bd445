"""What examples/extract.rs and examples/distance.rs do, with the package pytorch-fid, in the same form.

    peer.py extract WEIGHTS IMAGES.npz OUT.npz [THREADS] [BATCH]
    peer.py distance A.npz B.npz [THREADS]

Needs torch, torchvision, scipy and pytorch-fid. WEIGHTS is pt_inception-2015-12-05-6726825d.pth, or the fetched
TorchScript file, whose tensors are given pytorch-fid's names: they come in the order of its modules, weight,
beta, mean and variance of each convolution. Set the threads of BLAS (OMP_NUM_THREADS) to the same number.
"""

import json
import sys
import time

import numpy as np
import torch
from pytorch_fid import fid_score, inception


def state_dict(path, model):
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


def extract(weights, images, out, threads=1, batch=50):
    torch.set_num_threads(int(threads))
    torch.set_grad_enabled(False)
    empty = inception._inception_v3(num_classes=1008, aux_logits=False, weights=None)
    inception.load_state_dict_from_url = lambda *_, **__: state_dict(weights, empty)
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
    a, b = np.load(a), np.load(b)
    start = time.perf_counter()
    found = fid_score.calculate_frechet_distance(a["mu"], a["sigma"], b["mu"], b["sigma"])
    seconds = time.perf_counter() - start
    return {"distance": float(found), "threads": int(threads), "seconds": seconds}


if __name__ == "__main__":
    print(json.dumps({"extract": extract, "distance": distance}[sys.argv[1]](*sys.argv[2:])))
