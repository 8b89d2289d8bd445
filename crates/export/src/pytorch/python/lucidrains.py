# The U-Net of the package denoising_diffusion_pytorch, from release 2.0 on.


class RmsNorm(nn.Module):
    """Brings the channels of every pixel to root mean square 1, then scales each channel."""

    def __init__(self, channels):
        super().__init__()
        self.g = nn.Parameter(torch.empty(1, channels, 1, 1))

    def forward(self, x):
        return F.normalize(x, dim=1) * self.g * x.shape[1] ** 0.5


class ConvNorm(nn.Module):
    def __init__(self, c_in, c_out):
        super().__init__()
        self.proj = nn.Conv2d(c_in, c_out, 3, padding=1)
        self.norm = RmsNorm(c_out)

    def forward(self, x):
        return self.norm(self.proj(x))


class Block(nn.Module):
    """A residual block that takes the embedding."""

    def __init__(self, c_in, c_out):
        super().__init__()
        self.mlp = nn.Sequential(nn.SiLU(), nn.Linear(4 * CONFIG["channels"], 2 * c_out))
        self.block1 = ConvNorm(c_in, c_out)
        self.block2 = ConvNorm(c_out, c_out)
        self.res_conv = nn.Identity() if c_in == c_out else nn.Conv2d(c_in, c_out, 1)

    def forward(self, x, emb):
        scale, shift = self.mlp(emb)[:, :, None, None].chunk(2, 1)
        h = F.silu(self.block1(x) * (1 + scale) + shift)
        return F.silu(self.block2(h)) + self.res_conv(x)


class Attention(nn.Module):
    """Attention over the pixels and over learned keys and values, full or linear in the number of pixels."""

    def __init__(self, channels, kind, heads, head_channels):
        super().__init__()
        self.linear, self.heads, inner = kind == "linear", heads, heads * head_channels
        self.norm = RmsNorm(channels)
        memory = [head_channels, CONFIG["memory"]] if self.linear else [CONFIG["memory"], head_channels]
        self.mem_kv = nn.Parameter(torch.empty(2, heads, *memory))
        self.to_qkv = nn.Conv2d(channels, 3 * inner, 1, bias=False)
        out = nn.Conv2d(inner, channels, 1)
        self.to_out = nn.Sequential(out, RmsNorm(channels)) if self.linear else out

    def forward(self, x):
        n, _, height, width = x.shape
        qkv = self.to_qkv(self.norm(x)).view(n, 3, self.heads, -1, height * width)
        q, k, v = qkv.unbind(1)
        if not self.linear:
            q, k, v = (part.transpose(2, 3) for part in (q, k, v))
        axis = 3 if self.linear else 2
        k, v = (
            torch.cat([memory.expand(n, -1, -1, -1), part], axis) for memory, part in zip(self.mem_kv, (k, v))
        )
        if self.linear:
            summary = v @ k.softmax(3).transpose(2, 3) * q.shape[2] ** -0.5
            out = summary @ q.softmax(2)
        else:
            out = F.scaled_dot_product_attention(q, k, v).transpose(2, 3)
        return x + self.to_out(out.reshape(n, -1, height, width))


class Network(nn.Module):
    """The images that the network puts out, [B, C, H, W], for a state [B, C, H, W] and times [B]."""

    def __init__(self):
        super().__init__()
        c = CONFIG
        first = c.get("first_channels") or c["channels"]
        widths = [first] + [c["channels"] * mult for mult in c["channel_mult"]]
        shapes = [(a["kind"], a["heads"], a["head_channels"]) for a in c["attention"]]
        emb, levels = 4 * c["channels"], list(zip(widths[:-1], widths[1:], shapes))
        gelu = nn.GELU()
        self.time_mlp = nn.Sequential(nn.Identity(), nn.Linear(c["channels"], emb), gelu, nn.Linear(emb, emb))
        self.init_conv = nn.Conv2d(c["image_channels"], first, 7, padding=3)
        self.downs, self.ups = nn.ModuleList(), nn.ModuleList()
        for i, (width, following, shape) in enumerate(levels):
            halve = nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(4 * width, following, 1))
            keep = nn.Conv2d(width, following, 3, padding=1)
            self.downs.append(
                nn.ModuleList(
                    [
                        Block(width, width),
                        Block(width, width),
                        Attention(width, *shape),
                        keep if i == len(levels) - 1 else halve,
                    ]
                )
            )
        lowest = widths[-1]
        self.mid_block1 = Block(lowest, lowest)
        self.mid_attn = Attention(lowest, "full", *shapes[-1][1:])
        self.mid_block2 = Block(lowest, lowest)
        for i, (following, width, shape) in enumerate(reversed(levels)):
            keep = nn.Conv2d(width, following, 3, padding=1)
            double = nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), keep)
            self.ups.append(
                nn.ModuleList(
                    [
                        Block(width + following, width),
                        Block(width + following, width),
                        Attention(width, *shape),
                        keep if i == len(levels) - 1 else double,
                    ]
                )
            )
        self.final_res_block = Block(2 * first, first)
        self.final_conv = nn.Conv2d(first, c["image_channels"], 1)

    def forward(self, x, time, labels=None):
        half = CONFIG["channels"] // 2
        j = torch.arange(half, dtype=torch.float64, device=time.device)
        angles = time[:, None] * 10000.0 ** (-j / max(half - 1, 1))
        emb = self.time_mlp(torch.cat([angles.sin(), angles.cos()], 1).to(x.dtype))
        first = x = self.init_conv(x)
        saved = []
        for block1, block2, attention, resample in self.downs:
            x = block1(x, emb)
            saved.append(x)
            x = attention(block2(x, emb))
            saved.append(x)
            x = resample(x)
        x = self.mid_block2(self.mid_attn(self.mid_block1(x, emb)), emb)
        for block1, block2, attention, resample in self.ups:
            x = block1(torch.cat([x, saved.pop()], 1), emb)
            x = block2(torch.cat([x, saved.pop()], 1), emb)
            x = resample(attention(x))
        return self.final_conv(self.final_res_block(torch.cat([x, first], 1), emb))
