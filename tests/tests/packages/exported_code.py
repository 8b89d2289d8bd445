# Runs the Python file of every exported folder, as its docstring says, on the noise and labels beside it.
import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import torch

torch.set_num_threads(1)
for case in json.load(sys.stdin):
    folder = Path(case["folder"])
    spec = importlib.util.spec_from_file_location("model", folder / "model.py")
    model = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(model)
    noise = torch.from_numpy(np.load(folder / "z.npy"))
    labels = torch.tensor(case["labels"]) if case["labels"] else None
    np.save(folder / "images.npy", model.sample(model.load(), noise, labels).numpy())
