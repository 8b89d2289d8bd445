# The U-Net of ADM (arXiv 2105.05233), as EDM (arXiv 2206.00364) has it.

NORM_EPS = 1e-5
SCALES_AND_SHIFTS = True
ALWAYS_PROJECTS = False
HEAD_CHANNELS = CONFIG["head_channels"]
SKIP_SCALE = 1.0
TAPS = [1.0, 1.0]

{{edm_blocks}}

class Network(nn.Module):
    """The images that the network puts out, [B, heads C, H, W], for a state [B, C, H, W] and times [B]."""

    def __init__(self):
        super().__init__()
        c = CONFIG
        image, channels, emb = c["image_channels"], c["channels"], c["channels"] * c["channel_mult_emb"]
        self.half = channels // 2
        if c["augment_dim"]:
            # Of training: images that are made are not augmented, and this layer then adds nothing.
            self.map_augment = nn.Linear(c["augment_dim"], channels, bias=False)
        if c["n_classes"]:
            self.map_label = nn.Linear(c["n_classes"], emb, bias=False)
        self.map_layer0 = nn.Linear(channels, emb)
        self.map_layer1 = nn.Linear(emb, emb)

        levels, saved = list(widths_and_attention()), []
        channels = levels[0][1]
        self.enc = nn.ModuleDict()
        for level, (r, width, attention) in enumerate(levels):
            if level == 0:
                self.enc[f"{r}x{r}_conv"] = Conv(image, channels, 3)
            else:
                self.enc[f"{r}x{r}_down"] = Block(channels, channels, emb, resize="down")
            saved.append(channels)
            for i in range(c["n_res_blocks"]):
                self.enc[f"{r}x{r}_block{i}"] = Block(channels, width, emb, attention=attention)
                channels = width
                saved.append(channels)

        self.dec = nn.ModuleDict()
        for level, (r, width, attention) in reversed(list(enumerate(levels))):
            if level == len(levels) - 1:
                self.dec[f"{r}x{r}_in0"] = Block(channels, channels, emb, attention=True)
                self.dec[f"{r}x{r}_in1"] = Block(channels, channels, emb)
            else:
                self.dec[f"{r}x{r}_up"] = Block(channels, channels, emb, resize="up")
            for i in range(c["n_res_blocks"] + 1):
                self.dec[f"{r}x{r}_block{i}"] = Block(channels + saved.pop(), width, emb, attention=attention)
                channels = width
        self.out_norm = group_norm(channels)
        self.out_conv = Conv(channels, HEADS * image, 3)

    def forward(self, x, time, labels=None):
        emb = self.embedding(time, labels, x.dtype)
        saved = []
        for layer in self.enc.values():
            x = layer(x, emb) if isinstance(layer, Block) else layer(x)
            saved.append(x)
        for name, layer in self.dec.items():
            x = layer(torch.cat([x, saved.pop()], 1) if "_block" in name else x, emb)
        return self.out_conv(F.silu(self.out_norm(x)))

    def embedding(self, time, labels, dtype):
        j = torch.arange(self.half, dtype=torch.float64, device=time.device)
        sines, cosines = sinusoids(time, 10000.0 ** (-j / self.half))
        emb = torch.cat([cosines, sines], 1).to(dtype)
        emb = self.map_layer1(F.silu(self.map_layer0(emb)))
        if labels is not None:
            emb = emb + self.map_label(F.one_hot(labels, CONFIG["n_classes"]).to(dtype))
        return F.silu(emb)
