//! The encoder: every output is saved for the decoder, and NCSN++ runs the input image beside it, from level to level.

use std::f64::consts::FRAC_1_SQRT_2;

use fewstep_torch::{LayoutBuilder, Params, ScalarOps, Tensor};

use crate::conditions::BlockInputs;
use crate::edm::block::Block;
use crate::edm::config::Encoder;
use crate::edm::conv::{FusedDown, Resize};
use crate::edm::wiring::Wiring;
use crate::error::Result;
use crate::nn::{Conv2d, ResampleFilter};

#[derive(Clone, Debug)]
enum Stage {
    Conv(Conv2d),
    Block(Box<Block>),
    /// Shrinks the running image.
    ShrinkImage(ResampleFilter),
    /// Adds the running image to the state.
    AddImage(Conv2d),
    /// Adds the running image, shrunk by learned kernels; the state becomes the running image.
    MergeImage(FusedDown),
}

/// The stages in order.
#[derive(Clone, Debug)]
pub(crate) struct EncoderPath(Vec<Stage>);

impl EncoderPath {
    /// Adds its tensors under `enc`; also returns the channels of every saved output, in order.
    pub(crate) fn new(b: &mut LayoutBuilder, w: &Wiring<'_>, kind: Encoder) -> Result<(Self, Vec<i64>)> {
        b.scope("enc", |b| {
            let (mut stages, mut saved) = (Vec::new(), Vec::new());
            let (mut channels, mut image_channels) = (w.first_channels, w.image_channels);
            for level in 0..w.pyramid.n_levels() {
                if level == 0 {
                    let (name, init) = (w.name(level, "conv"), w.style.init);
                    let conv = Conv2d::with_init(b, &name, image_channels, channels, 3, init)?;
                    stages.push(Stage::Conv(conv));
                } else {
                    let down = w.resampling(b, w.name(level, "down"), channels, Resize::Down)?;
                    stages.push(Stage::Block(down));
                    stages.extend(image_stages(b, w, kind, level, (image_channels, channels))?);
                    if kind == Encoder::Residual {
                        image_channels = channels;
                    }
                }
                saved.push(channels);
                let attention = w.pyramid.has_attention(level);
                for i in 0..w.n_blocks {
                    let c_in = std::mem::replace(&mut channels, w.pyramid.width(level));
                    let name = w.name(level, &format!("block{i}"));
                    stages.push(Stage::Block(w.block(b, name, (c_in, channels), attention)?));
                    saved.push(channels);
                }
            }
            Ok((Self(stages), saved))
        })
    }

    /// The last output and all saved ones.
    pub(crate) fn forward(
        &self,
        p: &Params,
        image: &Tensor,
        inputs: &BlockInputs<'_>,
    ) -> Result<(Tensor, Vec<Tensor>)> {
        let mut saved: Vec<Tensor> = Vec::with_capacity(self.0.len());
        let (mut x, mut image) = (image.shallow_clone(), image.shallow_clone());
        for stage in &self.0 {
            match stage {
                Stage::Conv(conv) => x = conv.forward(p, &x)?,
                Stage::Block(block) => x = block.forward(p, &x, inputs)?,
                Stage::ShrinkImage(filter) => {
                    image = filter.down(p, &image)?;
                    continue;
                }
                // What the image is added to takes the place of what was saved without it.
                Stage::AddImage(conv) => {
                    x = x.f_add(&conv.forward(p, &image)?)?;
                    saved.pop();
                }
                Stage::MergeImage(conv) => {
                    x = x.f_add(&conv.forward(p, &image)?)?.mul_number(FRAC_1_SQRT_2)?;
                    image = x.shallow_clone();
                    saved.pop();
                }
            }
            saved.push(x.shallow_clone());
        }
        Ok((x, saved))
    }
}

/// What happens to the running image where a level begins; `channels` are its own and the state's.
fn image_stages(
    b: &mut LayoutBuilder,
    w: &Wiring<'_>,
    kind: Encoder,
    level: usize,
    channels: (i64, i64),
) -> Result<Vec<Stage>> {
    let (taps, init) = (&w.style.taps, w.style.init);
    Ok(match kind {
        Encoder::Standard => vec![],
        Encoder::Skip => {
            let filter = b.scope(w.name(level, "aux_down"), |b| ResampleFilter::new(b, taps))?;
            let name = w.name(level, "aux_skip");
            let conv = Conv2d::with_init(b, &name, channels.0, channels.1, 1, init)?;
            vec![Stage::ShrinkImage(filter), Stage::AddImage(conv)]
        }
        Encoder::Residual => {
            let name = w.name(level, "aux_residual");
            vec![Stage::MergeImage(FusedDown::new(b, &name, channels, taps, init)?)]
        }
    })
}
