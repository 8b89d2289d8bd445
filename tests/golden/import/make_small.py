"""Makes small/: files as torch, numpy, flax and EDM's persistence write them, with every element type and view.

Run once, with torch 2.15, numpy 2.4, msgpack 1.2 and safetensors 0.8: `python make_small.py` in this folder. The files
are data; `cargo test -p fewstep-formats` compares what it reads in them with `NAME.expect.safetensors`.
"""

import io
import os
import pickle
import sys
import types
from collections import OrderedDict

import msgpack
import numpy as np
import torch
from safetensors.torch import save_file

os.makedirs("small", exist_ok=True)
torch.manual_seed(0)
base = torch.arange(24, dtype=torch.float32).reshape(4, 6) / 8
tensors = OrderedDict(
    f32=base.clone(),
    transposed=base.t(),
    rows=base[1:3],
    columns=base[:, 1::2],
    expanded=torch.tensor([1.5]).expand(3, 2),
    channels_last=torch.randn(2, 3, 2, 2).to(memory_format=torch.channels_last),
    scalar=torch.tensor(2.5, dtype=torch.float64),
    empty=torch.zeros(0, 3),
    parameter=torch.nn.Parameter(torch.randn(3)),
)
kinds = "float64 float16 bfloat16 int64 int32 int16 int8 uint8 bool".split()
tensors.update({kind: torch.tensor([0, 1, 1, 0, 1]).to(getattr(torch, kind)) for kind in kinds})


def expect(name, expected):
    save_file({k: v.detach().contiguous().clone() for k, v in expected.items()}, f"small/{name}.expect.safetensors")


# torch.save, in both formats and through a network's and an optimizer's state.
whole = {"model": tensors, "step": 7, "lr": 1e-4, "note": "x", "flags": [True, None], "number": np.float64(0.25)}
expected = {f"model.{name}": tensor for name, tensor in tensors.items()}
for kind, is_zip in ("zip", True), ("legacy", False):
    torch.save(whole, f"small/mixed_{kind}.pt", _use_new_zipfile_serialization=is_zip)
    expect(f"mixed_{kind}", expected)
    torch.save(tensors["f32"], f"small/bare_{kind}.pt", _use_new_zipfile_serialization=is_zip)
    expect(f"bare_{kind}", {"tensor": tensors["f32"]})

net = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
adam = torch.optim.Adam(net.parameters())
net(torch.randn(2, 1, 4, 4)).sum().backward()
adam.step()
torch.save({"net": net.state_dict(), "optimizer": adam.state_dict()}, "small/adam.pt")
expected = {f"net.{name}": tensor for name, tensor in net.state_dict().items()}
for i, state in adam.state_dict()["state"].items():
    expected |= {f"optimizer.state.{i}.{name}": tensor for name, tensor in state.items()}
expect("adam", expected)


# EDM's persistence, without the source: a class whose objects pickle as a call with their attributes.
def reconstruct(meta):
    raise NotImplementedError


class EasyDict(dict):
    pass


for module, name, value in (
    ("torch_utils.persistence", "_reconstruct_persistent_obj", reconstruct),
    ("dnnlib.util", "EasyDict", EasyDict),
):
    value.__module__, value.__qualname__, value.__name__ = module, name, name
    parts = module.split(".")
    for i in range(len(parts)):
        sys.modules.setdefault(".".join(parts[: i + 1]), types.ModuleType(parts[i]))
    setattr(sys.modules[module], name, value)


class Persistent(torch.nn.Module):
    def __init__(self, **kwargs):
        super().__init__()
        self._init_args, self._init_kwargs = (), kwargs

    def __reduce__(self):
        state = super().__reduce__()[2]
        meta = dict(type="class", version=6, module_src="", class_name=type(self).__name__, state=state)
        return reconstruct, (meta,), None


class Block(Persistent):
    def __init__(self, n, **kwargs):
        super().__init__(n=n, **kwargs)
        self.weight = torch.nn.Parameter(torch.randn(n, 2))
        self.bias = None
        self.register_parameter("absent", None)
        self.register_buffer("filter", torch.tensor([0.25, 0.75]).half())
        self.register_buffer("passing", torch.zeros(5), persistent=False)


class Precond(Persistent):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.model = torch.nn.ModuleDict({"16x16_conv": Block(2), "8x8_block0": Block(3, skip=np.sqrt(0.5))})
        self.tied = self.model["8x8_block0"]
        self.register_buffer("count", torch.tensor(12))


precond = Precond(
    img_resolution=16,
    sigma_max=float("inf"),
    model_type="SongUNet",
    mult=[1, 2],
    use_fp16=False,
    label=None,
    extra=EasyDict(a=1, b=EasyDict(c=[2.5])),
    scale=np.float32(0.5),
    count=np.int64(-3),
)
for protocol in 3, 4, 5:
    with open(f"small/edm_protocol{protocol}.pkl", "wb") as f:
        pickle.dump({"ema": precond, "loss_fn": None, "dataset_kwargs": EasyDict(path="x.zip")}, f, protocol=protocol)
    expect(f"edm_protocol{protocol}", precond.state_dict())


# numpy.
arrays = {
    "f64": np.arange(6, dtype=np.float64).reshape(2, 3),
    "fortran": np.asfortranarray(np.arange(24, dtype=np.float32).reshape(2, 3, 4)),
    "u8": np.arange(4, dtype=np.uint8),
    "i64": np.array(-5),
    "f16": np.array([0.5, 2], dtype=np.float16),
    "zeros": np.zeros((64, 64)),
}
expected = {name: torch.from_numpy(np.ascontiguousarray(array)).reshape(array.shape) for name, array in arrays.items()}
for name, save in ("stored", np.savez), ("deflated", np.savez_compressed):
    save(f"small/{name}.npz", **arrays)
    expect(name, expected)
for version in (1, 0), (2, 0), (3, 0):
    with open(f"small/version{version[0]}.npy", "wb") as f:
        np.lib.format.write_array(f, arrays["fortran"], version=version)
    expect(f"version{version[0]}", {"arr_0": expected["fortran"]})


# flax: arrays are extension 1, numpy's numbers extension 3, of (shape, type, bytes).
def pack(value):
    kind = 3 if isinstance(value, np.generic) else 1
    value = np.asarray(value)
    data = (value.shape, value.dtype.name, value.tobytes("C"))
    return msgpack.ExtType(kind, msgpack.packb(data, use_bin_type=True))


tree = {"step": np.int32(5), "params": {"down_0.block_0": {"kernel": arrays["fortran"], "bias": arrays["f16"]}}, "n": 3}
with open("small/flax.msgpack", "wb") as f:
    f.write(msgpack.packb(tree, default=pack, strict_types=True))
kernel = expected["fortran"]
expect(
    "flax",
    {
        "step": torch.tensor(5, dtype=torch.int32),
        "params.down_0.block_0.kernel": kernel,
        "params.down_0.block_0.bias": expected["f16"],
    },
)
