# SongUNet, the U-Net of EDM (arXiv 2206.00364): DDPM++ and NCSN++ (arXiv 2011.13456).

NORM_EPS = 1e-6
SCALES_AND_SHIFTS = False
ALWAYS_PROJECTS = True
HEAD_CHANNELS = None
SKIP_SCALE = 0.5**0.5
TAPS = CONFIG["resample_filter"]

{{edm_blocks}}

class Network(nn.Module):
    """The images that the network puts out, [B, heads C, H, W], for a state [B, C, H, W] and times [B]."""

    def __init__(self):
        super().__init__()
        c = CONFIG
        image, channels = c["image_channels"], c["channels"]
        noise, emb = channels * c["channel_mult_noise"], channels * c["channel_mult_emb"]
        self.half = noise // 2
        if c["embedding"] == "fourier":
            self.map_noise = nn.Module()
            self.map_noise.register_buffer("freqs", torch.empty(self.half))
        if c["n_classes"]:
            self.map_label = nn.Linear(c["n_classes"], noise)
        if c["augment_dim"]:
            # Of training: images that are made are not augmented, and this layer then adds nothing.
            self.map_augment = nn.Linear(c["augment_dim"], noise, bias=False)
        self.map_layer0 = nn.Linear(noise, emb)
        self.map_layer1 = nn.Linear(emb, emb)

        levels, saved, aux = list(widths_and_attention()), [], image
        self.enc = nn.ModuleDict()
        for level, (r, width, attention) in enumerate(levels):
            if level == 0:
                self.enc[f"{r}x{r}_conv"] = Conv(image, channels, 3)
            else:
                self.enc[f"{r}x{r}_down"] = Block(channels, channels, emb, resize="down")
                if c["encoder"] == "skip":
                    self.enc[f"{r}x{r}_aux_down"] = Conv(aux, aux, 0, "down", TAPS)
                    self.enc[f"{r}x{r}_aux_skip"] = Conv(aux, channels, 1)
                if c["encoder"] == "residual":
                    self.enc[f"{r}x{r}_aux_residual"] = ConvThenHalve(aux, channels, 3, "down", TAPS)
                    aux = channels
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
                attends = attention and i == c["n_res_blocks"]
                self.dec[f"{r}x{r}_block{i}"] = Block(channels + saved.pop(), width, emb, attention=attends)
                channels = width
            if c["decoder"] == "skip" or level == 0:
                if c["decoder"] == "skip" and level < len(levels) - 1:
                    self.dec[f"{r}x{r}_aux_up"] = Conv(image, image, 0, "up", TAPS)
                self.dec[f"{r}x{r}_aux_norm"] = group_norm(channels)
                self.dec[f"{r}x{r}_aux_conv"] = Conv(channels, HEADS * image, 3)

    def forward(self, x, time, labels=None):
        emb = self.embedding(time, labels, x.dtype)
        saved, aux = [], x
        for name, layer in self.enc.items():
            if "aux_down" in name:
                aux = layer(aux)
            elif "aux_skip" in name:
                x = saved[-1] = x + layer(aux)
            elif "aux_residual" in name:
                x = saved[-1] = aux = (x + layer(aux)) * SKIP_SCALE
            else:
                x = layer(x, emb) if isinstance(layer, Block) else layer(x)
                saved.append(x)
        image = None
        for name, layer in self.dec.items():
            if "aux_up" in name:
                image = layer(image)
            elif "aux_norm" in name:
                h = F.silu(layer(x))
            elif "aux_conv" in name:
                image = layer(h) if image is None else layer(h) + image
            else:
                x = layer(torch.cat([x, saved.pop()], 1) if "_block" in name else x, emb)
        return image

    def embedding(self, time, labels, dtype):
        if CONFIG["embedding"] == "fourier":
            frequencies = 2 * math.pi * self.map_noise.freqs.double()
        else:
            j = torch.arange(self.half, dtype=torch.float64, device=time.device)
            frequencies = 10000.0 ** (-j / max(self.half - 1, 1))
        emb = torch.cat(sinusoids(time, frequencies), 1).to(dtype)
        if labels is not None:
            classes = F.one_hot(labels, CONFIG["n_classes"]).to(dtype)
            emb = emb + self.map_label(classes * CONFIG["n_classes"] ** 0.5)
        elif CONFIG["n_classes"]:
            emb = emb + self.map_label.bias
        return F.silu(self.map_layer1(F.silu(self.map_layer0(emb))))
