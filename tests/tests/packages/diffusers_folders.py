"""Makes folders of diffusers and the numbers that the package computes with them.

Standard input is a JSON list of cases, which tests/tests/packages/main.rs draws. For each, a network with random weights
and a scheduler are saved by the package itself into a folder of their own, and `expect.safetensors` is put beside them,
as the vectors of tests/golden/teachers/diffusers have it.
"""

import inspect
import json
import pathlib
import sys

import torch
from diffusers import DDIMPipeline, DDIMScheduler, DDPMPipeline, DDPMScheduler, UNet2DModel
from diffusers.models import embeddings
from diffusers.training_utils import EMAModel
from diffusers.utils import logging
from safetensors.torch import save_file

STEPS = 10
SCHEDULERS = {"DDPMScheduler": (DDPMScheduler, DDPMPipeline), "DDIMScheduler": (DDIMScheduler, DDIMPipeline)}
WEIGHTS = "diffusion_pytorch_model"
OLD_NAMES = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}


def in_double(function):
    """The package's own function with float64 wherever it says float32: networks run in float64 still get float32
    sinusoids, which differ by 3e-5."""
    source = inspect.getsource(function)
    wide = source.replace("torch.float32", "torch.float64").replace(".float()", ".double()")
    assert wide != source, "the package does not say float32 any more"
    scope = dict(vars(inspect.getmodule(function)))
    exec(compile(wide, inspect.getfile(function), "exec"), scope)
    return scope[function.__name__]


NARROW = embeddings.get_timestep_embedding
WIDE = in_double(NARROW)


class Kind:
    """A network in float32 or float64, told its times in the same."""

    def __init__(self, unet, dtype):
        self.unet, self.dtype = unet.to(dtype).eval(), dtype

    def __call__(self, x, t, labels):
        embeddings.get_timestep_embedding = WIDE if self.dtype == torch.float64 else NARROW
        # Its logarithm must be taken in this kind.
        fourier = self.unet.config.time_embedding_type == "fourier"
        t = t.to(self.dtype) if fourier else t
        if fourier and labels is not None and self.unet.config.class_embed_type == "timestep":
            labels = labels.to(self.dtype)
        return self.unet(x.to(self.dtype), t, class_labels=labels).sample.double()


def network(config, dtype):
    """No layer is zero, and no norm is one."""
    unet = UNet2DModel(**config)
    for name, p in unet.named_parameters():
        if "norm" in name:
            p.data = torch.randn(p.shape) * 0.3 + (1.0 if name.endswith("weight") else 0.0)
        elif name.endswith("bias"):
            p.data = torch.randn(p.shape) * 0.2
    # What the file can hold.
    return unet.to(dtype).float()


def drop_defaults(path, constructor):
    """A config as releases wrote it that did not know the newer options."""
    said = json.loads(path.read_text())
    for key, parameter in inspect.signature(constructor.__init__).parameters.items():
        default = parameter.default
        default = list(default) if isinstance(default, tuple) else default
        if key in said and said[key] == default and type(said[key]) is type(default):
            del said[key]
    path.write_text(json.dumps(said, indent=2))


def save(case, unet, scheduler, folder):
    """In one of the layouts: a pipeline, the flat one of 2022, a network alone beside its scheduler, and a checkpoint of
    the package's training script, which has the averaged weights in a folder of their own."""
    form = case["form"]
    layout, dtype = form["layout"], getattr(torch, form["dtype"])
    how = {"safe_serialization": form["safetensors"], "variant": form["variant"]}
    if form["shards"]:
        how["max_shard_size"] = sum(p.numel() * dtype.itemsize for p in unet.parameters()) // 3
    stored = UNet2DModel.from_config(unet.config)
    stored.load_state_dict(unet.state_dict())
    stored = stored.to(dtype)
    place, schedule = folder / "unet", folder / "scheduler"
    if layout == "flat":
        place = schedule = folder
    elif layout == "alone":
        place, schedule = folder, folder.parent / "scheduler"
    elif layout == "checkpoint":
        schedule = folder.parent / "scheduler"
    if layout == "pipeline":
        SCHEDULERS[case["scheduler_class"]][1](unet=stored, scheduler=scheduler).save_pretrained(folder, **how)
    else:
        scheduler.save_pretrained(schedule)
        stored.save_pretrained(place, **how)
    if layout == "checkpoint":
        average = EMAModel(stored.parameters(), model_cls=UNet2DModel, model_config=stored.config)
        average.save_pretrained(folder / "unet_ema")
        # `unet` is then another network, whose numbers would be wrong.
        for p in stored.parameters():
            p.data = torch.randn(p.shape).to(dtype)
        stored.save_pretrained(place, **how)
    if form["old_names"]:
        (weights,) = place.glob(f"{WEIGHTS}*.bin")
        torch.save(old_names(stored.state_dict()), weights, _use_new_zipfile_serialization=form["zip"])
    if form["without_defaults"]:
        drop_defaults(place / "config.json", UNet2DModel)
        drop_defaults(schedule / "scheduler_config.json", type(scheduler))


def old_names(state):
    def old(name):
        for new, before in OLD_NAMES.items():
            if ".attentions." in name:
                name = name.replace(f".{new}.", f".{before}.")
        return name

    return {old(name): value for name, value in state.items()}


def sampler(scheduler, spacing):
    """The package's DDIM on the scheduler's levels, widened."""
    changes = {"timestep_spacing": spacing}
    if scheduler.config.beta_schedule in ["sigmoid", "laplace"]:
        # DDIM's scheduler does not know these, but takes their betas.
        changes |= {"trained_betas": scheduler.betas.tolist(), "rescale_betas_zero_snr": False}
    ddim = DDIMScheduler.from_config(scheduler.config, **changes)
    assert torch.equal(ddim.alphas_cumprod, scheduler.alphas_cumprod)
    ddim.alphas_cumprod = ddim.alphas_cumprod.double()
    ddim.final_alpha_cumprod = ddim.final_alpha_cumprod.double()
    ddim.set_timesteps(STEPS)
    return ddim


def sample(kind, scheduler, spacing, z, labels):
    ddim = sampler(scheduler, spacing)
    x, first = z.to(kind.dtype), None
    for t in ddim.timesteps:
        out = kind(x, t.repeat(len(z)), labels)
        x = ddim.step(out.to(kind.dtype), t, x).prev_sample
        first = x if first is None else first
    return ddim.timesteps, first.double(), x.double()


def clean(prediction, x, out, a):
    match prediction:
        case "epsilon":
            return (x - (1 - a).sqrt() * out) / a.sqrt()
        case "sample":
            return out
        case "v_prediction":
            return a.sqrt() * x - (1 - a).sqrt() * out


def deviation(got, want):
    """Of the worst sample, in its standard deviations."""
    return max(float((g - w).abs().max() / w.std(correction=0)) for g, w in zip(got, want))


def expect(case, unet, scheduler):
    config, n = unet.config, scheduler.config.num_train_timesteps
    double = Kind(unet, torch.float64)
    single = UNet2DModel.from_config(config)
    single.load_state_dict(unet.state_dict())
    single = Kind(single, torch.float32)
    first = 1 if config.time_embedding_type == "fourier" else 0
    numbers = lambda count: torch.randn(count, config.in_channels, *[config.sample_size] * 2).double()
    least = 1 if first and config.class_embed_type == "timestep" else 0
    draw = lambda count: torch.randint(least, config.num_class_embeds, (count,)) if config.num_class_embeds else None
    t = torch.tensor([first, first + 1, n // 2, n - 1])
    x, labels = numbers(4), draw(4)
    a = scheduler.alphas_cumprod.double()
    out = double(x, t, labels)
    x0 = clean(scheduler.config.prediction_type, x, out, a[t].view(-1, 1, 1, 1))
    tensors = {"x": x, "timesteps": t, "model_out": out, "x0_hat": x0, "alphas_cumprod": a}
    rounding = {"model_out_f32": deviation(single(x, t, labels), out)}
    z, z_labels = numbers(2), draw(2)
    tensors["ddim.z"] = z
    if labels is not None:
        tensors |= {"labels": labels, "ddim.labels": z_labels}
    for spacing in case["spacings"]:
        times, one, last = sample(double, scheduler, spacing, z, z_labels)
        _, one_f32, last_f32 = sample(single, scheduler, spacing, z, z_labels)
        key = f"ddim.{spacing}"
        tensors |= {f"{key}.timesteps": times, f"{key}.first": one, f"{key}.out": last}
        rounding[f"ddim_{spacing}_f32"] = max(deviation(one_f32, one), deviation(last_f32, last))
    metadata = {
        "case": "teacher",
        "family": "diffusers",
        "name": case["name"],
        "prediction_type": scheduler.config.prediction_type,
        "deviation_of_a_float32_run": json.dumps(rounding),
    }
    return {name: tensor.contiguous().clone() for name, tensor in tensors.items()}, metadata


def main():
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    for case in json.load(sys.stdin):
        torch.manual_seed(case["seed"])
        folder = pathlib.Path(case["folder"])
        folder.mkdir(parents=True)
        try:
            unet = network(case["unet"], getattr(torch, case["form"]["dtype"]))
            scheduler = SCHEDULERS[case["scheduler_class"]][0](**case["scheduler"])
            save(case, unet, scheduler, folder)
            with torch.no_grad():
                tensors, metadata = expect(case, unet, scheduler)
            save_file(tensors, folder / "expect.safetensors", metadata)
        except Exception as error:
            raise RuntimeError(f"the package fails on {json.dumps(case)}") from error


main()
