# The U-Net of diffusers' UNet2DModel, which guided-diffusion, consistency models and torchcfm have too.

ACTIVATION = {"silu": F.silu, "gelu": F.gelu, "mish": F.mish, "relu": F.relu}[CONFIG["activation"]]


def group_norm(channels, groups=None):
    return nn.GroupNorm(groups or CONFIG["norm_groups"], channels, eps=CONFIG["norm_eps"])


def resized(x, resize):
    if resize == "down":
        return F.avg_pool2d(x, 2)
    return F.interpolate(x, scale_factor=2, mode="nearest") if resize == "up" else x


class ResBlock(nn.Module):
    """A residual block that takes the embedding."""

    def __init__(self, c_in, c_out, resize=None, divisor=1.0):
        super().__init__()
        self.resize, self.divisor = resize, divisor
        self.norm1 = group_norm(c_in)
        self.conv1 = nn.Conv2d(c_in, c_out, 3, padding=1)
        scales = 2 * c_out if CONFIG["affine_time"] else c_out
        self.time_emb_proj = nn.Linear(CONFIG["embedding_channels"], scales)
        self.norm2 = group_norm(c_out)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, padding=1)
        self.conv_shortcut = nn.Identity() if c_in == c_out else nn.Conv2d(c_in, c_out, 1)

    def forward(self, x, emb):
        h = self.conv1(resized(ACTIVATION(self.norm1(x)), self.resize))
        e = self.time_emb_proj(emb)[:, :, None, None]
        if CONFIG["affine_time"]:
            scale, shift = e.chunk(2, 1)
            h = self.norm2(h) * (1 + scale) + shift
        else:
            h = self.norm2(h + e)
        h = self.conv2(ACTIVATION(h))
        return (self.conv_shortcut(resized(x, self.resize)) + h) / self.divisor


class Attention(nn.Module):
    def __init__(self, channels, norm_groups, divisor=1.0):
        super().__init__()
        heads, self.divisor = CONFIG["heads"], divisor
        self.heads = heads["count"] if "count" in heads else channels // heads["width"]
        inner = self.heads * (heads["width"] if "width" in heads else channels // self.heads)
        self.group_norm = group_norm(channels, norm_groups) if norm_groups else nn.Identity()
        self.to_q, self.to_k, self.to_v = (nn.Linear(channels, inner) for _ in range(3))
        self.to_out = nn.ModuleList([nn.Linear(inner, channels)])

    def forward(self, x):
        n, c, height, width = x.shape
        pixels = self.group_norm(x).flatten(2).transpose(1, 2)
        q, k, v = (
            layer(pixels).view(n, height * width, self.heads, -1).transpose(1, 2)
            for layer in (self.to_q, self.to_k, self.to_v)
        )
        out = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        out = self.to_out[0](out).transpose(1, 2).reshape(n, c, height, width)
        return (x + out) / self.divisor


class Conv(nn.Module):
    """A convolution that halves the image, or doubles it first."""

    def __init__(self, channels, resize):
        super().__init__()
        self.resize = resize
        self.conv = nn.Conv2d(channels, channels, 3, stride=2 if resize == "down" else 1)

    def forward(self, x, emb):
        one_sided = self.resize == "down" and CONFIG["one_sided_padding"]
        x = x if self.resize == "down" else resized(x, "up")
        return self.conv(F.pad(x, (0, 1, 0, 1) if one_sided else (1, 1, 1, 1)))


class Level(nn.Module):
    """Residual blocks, each with attention or without, and what changes the resolution after them."""

    def __init__(self, channels, width, attention, resize, resampling):
        super().__init__()
        self.resnets = nn.ModuleList(ResBlock(c, width) for c in channels)
        if attention:
            self.attentions = nn.ModuleList(Attention(width, CONFIG["norm_groups"]) for _ in channels)
        resampler = None
        if resize:
            by_block = resampling == "residual"
            resampler = ResBlock(width, width, resize) if by_block else Conv(width, resize)
            self.add_module(f"{resize}samplers", nn.ModuleList([resampler]))
        self.attention, self.resampler = attention, [resampler]

    def block(self, i, x, emb):
        x = self.resnets[i](x, emb)
        return self.attentions[i](x) if self.attention else x


class Embedding(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.linear_1 = nn.Linear(width, CONFIG["embedding_channels"])
        self.linear_2 = nn.Linear(CONFIG["embedding_channels"], CONFIG["embedding_channels"])

    def forward(self, x):
        return self.linear_2(F.silu(self.linear_1(x)))


class Network(nn.Module):
    """The images that the network puts out, [B, C, H, W], for a state [B, C, H, W] and times [B]."""

    def __init__(self):
        super().__init__()
        c = CONFIG
        widths, blocks, image = c["widths"], c["n_res_blocks"], c["image_channels"]
        self.conv_in = nn.Conv2d(image, widths[0], 3, padding=1)
        time, last = c["embedding"], len(widths) - 1
        self.time_proj = nn.Module()
        if time["kind"] == "fourier":
            self.time_proj.register_buffer("weight", torch.empty(time["channels"]))
        if time["kind"] == "learned":
            self.time_proj.weight = nn.Parameter(torch.empty(time["timesteps"], time["channels"]))
        features = 2 * time["channels"] if time["kind"] == "fourier" else time["channels"]
        self.time_embedding = Embedding(features)
        if c["n_classes"]:
            table = c["class_input"] == "table"
            made = nn.Embedding(c["n_classes"], c["embedding_channels"]) if table else Embedding(features)
            self.class_embedding = made
        channels, saved = widths[0], [widths[0]]
        self.down_blocks, self.up_blocks = nn.ModuleList(), nn.ModuleList()
        for level, (width, kind) in enumerate(zip(widths, c["down"])):
            inputs, resize = [channels] + [width] * (blocks - 1), "down" if level < last else None
            self.down_blocks.append(Level(inputs, width, kind["attention"], resize, kind["resampling"]))
            saved += [width] * (blocks + (level < last))
            channels = width
        mid, self.mid_block = c.get("mid"), None
        if mid:
            self.mid_block = nn.Module()
            pair = [ResBlock(channels, channels, divisor=mid["divisor"]) for _ in range(2)]
            self.mid_block.resnets = nn.ModuleList(pair)
            attention = Attention(channels, mid.get("attention_norm_groups"), mid["divisor"])
            self.mid_block.attentions = nn.ModuleList([attention] if mid["attention"] else [])
        for level, (width, kind) in reversed(list(enumerate(zip(widths, c["up"])))):
            inputs = []
            for _ in range(blocks + 1):
                inputs.append(channels + saved.pop())
                channels = width
            resize = "up" if level > 0 else None
            self.up_blocks.append(Level(inputs, width, kind["attention"], resize, kind["resampling"]))
        self.conv_norm_out = group_norm(channels)
        self.conv_out = nn.Conv2d(channels, image, 3, padding=1)

    def forward(self, x, time, labels=None):
        emb = self.time_embedding(self.features(time, x.dtype))
        if CONFIG["n_classes"]:
            table = CONFIG["class_input"] == "table"
            emb = emb + self.class_embedding(labels if table else self.features(labels.double(), x.dtype))
        emb = ACTIVATION(emb)
        x = self.conv_in(2 * x - 1 if CONFIG["center_input"] else x)
        saved = [x]
        for level in self.down_blocks:
            for i in range(len(level.resnets)):
                x = level.block(i, x, emb)
                saved.append(x)
            if level.resampler[0]:
                x = level.resampler[0](x, emb)
                saved.append(x)
        if self.mid_block:
            x = self.mid_block.resnets[0](x, emb)
            for attention in self.mid_block.attentions:
                x = attention(x)
            x = self.mid_block.resnets[1](x, emb)
        for level in self.up_blocks:
            for i in range(len(level.resnets)):
                x = level.block(i, torch.cat([x, saved.pop()], 1), emb)
            if level.resampler[0]:
                x = level.resampler[0](x, emb)
        x = self.conv_out(F.silu(self.conv_norm_out(x)))
        fourier = CONFIG["embedding"]["kind"] == "fourier"
        return x / time.view(-1, 1, 1, 1).to(x.dtype) if fourier else x

    def features(self, numbers, dtype):
        """What the embedding's layers take for times, or for labels."""
        e = CONFIG["embedding"]
        if e["kind"] == "learned":
            return self.time_proj.weight[numbers.long()]
        if e["kind"] == "fourier":
            angles = 2 * math.pi * numbers.log()[:, None] * self.time_proj.weight.double()
        else:
            half = e["channels"] // 2
            j = torch.arange(half, dtype=torch.float64, device=numbers.device)
            angles = numbers[:, None] * 10000.0 ** (-j / (half - e["shift"]))
        halves = [angles.sin(), angles.cos()]
        cosines_first = e["kind"] == "sinusoids" and e["cosines_first"]
        return torch.cat(halves[::-1] if cosines_first else halves, 1).to(dtype)
