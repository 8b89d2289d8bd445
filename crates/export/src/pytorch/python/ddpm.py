# The U-Net of DDPM (arXiv 2006.11239), in the form that TRACT's code (arXiv 2303.04248) has.


def group_norm(channels):
    """The most groups that divide the channels, up to 32."""
    return nn.GroupNorm(max(g for g in range(1, 33) if channels % g == 0), channels, eps=1e-5)


class ResBlock(nn.Module):
    """A residual block that takes the embedding."""

    def __init__(self, c_in, c_out, resize=None):
        super().__init__()
        emb = CONFIG["embedding_channels"]
        self.resize = {
            None: nn.Identity(),
            "down": nn.AvgPool2d(2),
            "up": nn.Upsample(scale_factor=2, mode="nearest"),
        }[resize]
        self.norm1 = group_norm(c_in)
        self.conv1 = nn.Conv2d(c_in, c_out, 3, padding=1)
        self.time = nn.Sequential(nn.SiLU(), nn.Linear(emb, 2 * c_out if CONFIG["affine_time"] else c_out))
        self.norm2 = group_norm(c_out)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, padding=1)
        self.skip = nn.Identity() if c_in == c_out else nn.Conv2d(c_in, c_out, 1)

    def forward(self, x, emb):
        h = self.conv1(self.resize(F.silu(self.norm1(x))))
        e = self.time(emb)[:, :, None, None]
        if CONFIG["affine_time"]:
            scale, shift = e.chunk(2, 1)
            h = self.norm2(h) * (1 + scale) + shift
        else:
            h = self.norm2(h + e)
        return self.skip(self.resize(x)) + self.conv2(F.silu(h))


class Attention(nn.Module):
    def __init__(self, channels):
        super().__init__()
        heads = CONFIG["heads"]
        self.heads = heads["count"] if "count" in heads else channels // heads["width"]
        self.norm = group_norm(channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, x):
        n, c, height, width = x.shape
        qkv = self.qkv(self.norm(x)).view(n, self.heads, 3, c // self.heads, height * width)
        q, k, v = (part.transpose(2, 3) for part in qkv.unbind(2))
        out = F.scaled_dot_product_attention(q, k, v)
        return x + self.out(out.transpose(2, 3).reshape(n, c, height, width))


class Block(nn.Module):
    """A residual block, followed by attention where the resolution asks for it."""

    def __init__(self, c_in, c_out, attention):
        super().__init__()
        self.resblocks = ResBlock(c_in, c_out)
        self.attention = Attention(c_out) if attention else nn.Identity()

    def forward(self, x, emb):
        return self.attention(self.resblocks(x, emb))


class Network(nn.Module):
    """The images that the network puts out, [B, heads C, H, W], for a state [B, C, H, W] and times [B]."""

    def __init__(self):
        super().__init__()
        c = CONFIG
        image, channels, emb = c["image_channels"], c["channels"], c["embedding_channels"]
        self.half = channels // 2
        self.time = nn.Sequential(nn.Linear(channels, emb), nn.SiLU(), nn.Linear(emb, emb))
        if c["n_classes"]:
            self.class_emb = nn.Linear(c["n_classes"], emb)
        levels = [
            (channels * mult, c["resolution"] >> level in c["attention_resolutions"])
            for level, mult in enumerate(c["channel_mult"])
        ]
        by_blocks, saved = c["resampling"] == "residual", [channels]
        self.down = nn.ModuleList([nn.Conv2d(image, channels, 3, padding=1)])
        for level, (width, attention) in enumerate(levels):
            for _ in range(c["n_res_blocks"]):
                self.down.append(Block(channels, width, attention))
                channels = width
                saved.append(channels)
            if level < len(levels) - 1:
                conv = nn.Sequential(nn.Conv2d(width, width, 3, stride=2, padding=1))
                self.down.append(ResBlock(width, width, "down") if by_blocks else conv)
                saved.append(channels)
        self.mid = nn.ModuleList([Block(channels, channels, True), Block(channels, channels, False)])
        self.up = nn.ModuleList()
        for level, (width, attention) in reversed(list(enumerate(levels))):
            for _ in range(c["n_res_blocks"] + 1):
                self.up.append(Block(channels + saved.pop(), width, attention))
                channels = width
            if level > 0:
                double = nn.Upsample(scale_factor=2, mode="nearest")
                conv = nn.Sequential(double, nn.Conv2d(width, width, 3, padding=1))
                self.up.append(ResBlock(width, width, "up") if by_blocks else conv)
        self.out = nn.Sequential(
            group_norm(channels), nn.SiLU(), nn.Conv2d(channels, HEADS * image, 3, padding=1)
        )

    def forward(self, x, time, labels=None):
        j = torch.arange(self.half, dtype=torch.float64, device=time.device)
        angles = time[:, None] * 10000.0 ** (-j / max(self.half - 1, 1))
        emb = self.time(torch.cat([angles.sin(), angles.cos()], 1).to(x.dtype))
        if CONFIG["n_classes"]:
            emb = emb + self.class_emb(F.one_hot(labels, CONFIG["n_classes"]).to(x.dtype))
        saved = []
        for stage in self.down:
            x = stage(x, emb) if isinstance(stage, (Block, ResBlock)) else stage(x)
            saved.append(x)
        for block in self.mid:
            x = block(x, emb)
        for stage in self.up:
            if isinstance(stage, Block):
                x = torch.cat([x, saved.pop()], 1)
            x = stage(x, emb) if isinstance(stage, (Block, ResBlock)) else stage(x)
        return self.out(x)
