class Conv(nn.Module):
    """A filter that halves or doubles the image, if any, then a square kernel, if any."""

    def __init__(self, c_in, c_out, kernel, resize=None, taps=None):
        super().__init__()
        self.resize, self.weight = resize, None
        if kernel:
            self.weight = nn.Parameter(torch.empty(c_out, c_in, kernel, kernel))
            self.bias = nn.Parameter(torch.empty(c_out))
        if resize:
            self.register_buffer("resample_filter", torch.empty(1, 1, len(taps), len(taps)))

    def forward(self, x):
        if self.resize:
            f, c = self.resample_filter.expand(x.shape[1], -1, -1, -1), x.shape[1]
            padding = (f.shape[-1] - 1) // 2
            if self.resize == "down":
                x = F.conv2d(x, f, stride=2, padding=padding, groups=c)
            else:
                x = F.conv_transpose2d(x, 4 * f, stride=2, padding=padding, groups=c)
        if self.weight is None:
            return x
        return F.conv2d(x, self.weight, self.bias, padding=self.weight.shape[-1] // 2)


class ConvThenHalve(Conv):
    """The kernel first, then the filter, with the padding of both before the kernel."""

    def forward(self, x):
        f = self.resample_filter.expand(self.weight.shape[0], -1, -1, -1)
        padding = self.weight.shape[-1] // 2 + (f.shape[-1] - 1) // 2
        x = F.conv2d(x, self.weight, self.bias, padding=padding)
        return F.conv2d(x, f, stride=2, groups=f.shape[0])


def group_norm(channels):
    return nn.GroupNorm(min(32, channels // 4), channels, eps=NORM_EPS)


class Block(nn.Module):
    """A residual block that takes the embedding, with attention inside."""

    def __init__(self, c_in, c_out, embedding, resize=None, attention=False):
        super().__init__()
        self.norm0 = group_norm(c_in)
        self.conv0 = Conv(c_in, c_out, 3, resize, TAPS)
        self.affine = nn.Linear(embedding, 2 * c_out if SCALES_AND_SHIFTS else c_out)
        self.norm1 = group_norm(c_out)
        self.conv1 = Conv(c_out, c_out, 3)
        self.skip = None
        if resize or c_in != c_out:
            kernel = 1 if ALWAYS_PROJECTS or c_in != c_out else 0
            self.skip = Conv(c_in, c_out, kernel, resize, TAPS)
        self.heads = 0
        if attention:
            self.heads = c_out // HEAD_CHANNELS if HEAD_CHANNELS else 1
            self.norm2 = group_norm(c_out)
            self.qkv = Conv(c_out, 3 * c_out, 1)
            self.proj = Conv(c_out, c_out, 1)

    def forward(self, x, emb):
        h = self.conv0(F.silu(self.norm0(x)))
        e = self.affine(emb)[:, :, None, None]
        if SCALES_AND_SHIFTS:
            scale, shift = e.chunk(2, 1)
            h = shift + self.norm1(h) * (1 + scale)
        else:
            h = self.norm1(h + e)
        h = self.conv1(F.silu(h))
        x = (h + (x if self.skip is None else self.skip(x))) * SKIP_SCALE
        return (self.attended(x) + x) * SKIP_SCALE if self.heads else x

    def attended(self, x):
        n, c, height, width = x.shape
        qkv = self.qkv(self.norm2(x)).view(n, self.heads, c // self.heads, 3, height * width)
        q, k, v = (part.transpose(2, 3) for part in qkv.unbind(3))
        out = F.scaled_dot_product_attention(q, k, v)
        return self.proj(out.transpose(2, 3).reshape(n, c, height, width))


def sinusoids(time, frequencies):
    angles = time[:, None] * frequencies[None, :]
    return angles.sin(), angles.cos()


def widths_and_attention():
    """Resolution, channels and attention of each level, from the full resolution down."""
    for level, mult in enumerate(CONFIG["channel_mult"]):
        resolution = CONFIG["resolution"] >> level
        yield resolution, CONFIG["channels"] * mult, resolution in CONFIG["attention_resolutions"]
