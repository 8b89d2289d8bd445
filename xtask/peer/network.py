"""The U-Net of DDPM (arXiv 2006.11239) as a PyTorch user would write it for training: modules, eager mode, no tricks.

It is the same network as crates/models/src/ddpm, layer for layer. CONFIG is the `[model.network]` table of a config.
"""

import torch
import torch.nn.functional as F
from torch import nn


def norm(channels):
    return nn.GroupNorm(max(g for g in range(1, 33) if channels % g == 0), channels)


class ResBlock(nn.Module):
    def __init__(self, c_in, c_out, emb, resize="keep"):
        super().__init__()
        self.resize = resize
        self.norm1 = norm(c_in)
        self.conv1 = nn.Conv2d(c_in, c_out, 3, padding=1)
        self.time = nn.Linear(emb, 2 * c_out)
        self.norm2 = norm(c_out)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, padding=1)
        self.skip = nn.Identity() if c_in == c_out else nn.Conv2d(c_in, c_out, 1)

    def resized(self, x):
        if self.resize == "down":
            return F.avg_pool2d(x, 2)
        if self.resize == "up":
            return F.interpolate(x, scale_factor=2, mode="nearest")
        return x

    def forward(self, x, emb):
        h = self.conv1(self.resized(F.silu(self.norm1(x))))
        scale, shift = self.time(emb)[:, :, None, None].chunk(2, 1)
        h = self.conv2(F.silu(torch.addcmul(shift, self.norm2(h), 1 + scale)))
        return self.skip(self.resized(x)) + h


class Attention(nn.Module):
    def __init__(self, channels, heads):
        super().__init__()
        self.heads = heads
        self.norm = norm(channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, x):
        b, c, h, w = x.shape
        qkv = self.qkv(self.norm(x)).view(b, 3, self.heads, c // self.heads, h * w)
        q, k, v = qkv.transpose(3, 4).contiguous().unbind(1)
        a = F.scaled_dot_product_attention(q, k, v)
        return x + self.out(a.transpose(2, 3).reshape(b, c, h, w))


class Block(nn.Module):
    def __init__(self, c_in, c_out, emb, heads):
        super().__init__()
        self.res = ResBlock(c_in, c_out, emb)
        self.attention = Attention(c_out, heads) if heads else nn.Identity()

    def forward(self, x, emb):
        return self.attention(self.res(x, emb))


class Stage(nn.Module):
    """A convolution that takes no embedding, in the place of a block."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x, emb):
        return self.layer(x)


class UNet(nn.Module):
    """The images that the network puts out, `[B, heads C, H, W]`, for states `[B, C, H, W]` and times `[B]`."""

    def __init__(self, config, n_images=1):
        super().__init__()
        c = config
        image, channels, emb = c["image_channels"], c["channels"], c["embedding_channels"]
        self.half = channels // 2
        self.time = nn.Sequential(nn.Linear(channels, emb), nn.SiLU(), nn.Linear(emb, emb))
        self.classes = nn.Embedding(c["n_classes"], emb) if c["n_classes"] else None
        heads = lambda width: c["heads"].get("count") or width // c["heads"]["width"]
        levels = [
            (channels * mult, c["resolution"] >> level in c["attention_resolutions"])
            for level, mult in enumerate(c["channel_mult"])
        ]
        block = lambda a, b, attended: Block(a, b, emb, heads(b) if attended else 0)
        by_blocks, saved = c["resampling"] == "residual", [channels]
        self.down = nn.ModuleList([Stage(nn.Conv2d(image, channels, 3, padding=1))])
        for level, (width, attended) in enumerate(levels):
            for _ in range(c["n_res_blocks"]):
                self.down.append(block(channels, width, attended))
                channels = width
                saved.append(channels)
            if level < len(levels) - 1:
                conv = Stage(nn.Conv2d(width, width, 3, stride=2, padding=1))
                self.down.append(ResBlock(width, width, emb, "down") if by_blocks else conv)
                saved.append(channels)
        self.mid = nn.ModuleList([block(channels, channels, True), block(channels, channels, False)])
        self.up = nn.ModuleList()
        for level, (width, attended) in reversed(list(enumerate(levels))):
            for _ in range(c["n_res_blocks"] + 1):
                self.up.append(block(channels + saved.pop(), width, attended))
                channels = width
            if level > 0:
                double = nn.Upsample(scale_factor=2, mode="nearest")
                conv = Stage(nn.Sequential(double, nn.Conv2d(width, width, 3, padding=1)))
                self.up.append(ResBlock(width, width, emb, "up") if by_blocks else conv)
        self.out = nn.Sequential(norm(channels), nn.SiLU(), nn.Conv2d(channels, n_images * image, 3, padding=1))
        frequencies = 10000.0 ** (-torch.arange(self.half, dtype=torch.float32) / max(self.half - 1, 1))
        self.register_buffer("frequencies", frequencies, persistent=False)

    def forward(self, x, time, labels=None):
        angles = time[:, None] * self.frequencies
        emb = self.time(torch.cat([angles.sin(), angles.cos()], 1))
        if self.classes is not None:
            emb = emb + self.classes(labels)
        emb = F.silu(emb)
        saved = []
        for stage in self.down:
            x = stage(x, emb)
            saved.append(x)
        for stage in self.mid:
            x = stage(x, emb)
        for stage in self.up:
            if isinstance(stage, Block):
                x = torch.cat([x, saved.pop()], 1)
            x = stage(x, emb)
        return self.out(x)
