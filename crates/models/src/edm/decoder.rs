//! The decoder: blocks on the running state joined with what the encoder saved, and the image that SongUNet puts out,
//! from the full resolution or summed over levels.

use fewstep_torch::{LayoutBuilder, Params, Tensor};

use crate::conditions::BlockInputs;
use crate::edm::block::Block;
use crate::edm::config::Decoder;
use crate::edm::conv::Resize;
use crate::edm::wiring::{Attended, Wiring};
use crate::error::{Error, Result};
use crate::nn::{Activation, Conv2d, GroupNorm, ResampleFilter};

/// The encoder saves one output for each block that joins one.
const UNPAIRED: Error = Error::Fault("a decoder block finds no saved output of the encoder");

#[derive(Clone, Debug)]
enum Stage {
    Block(Box<Block>),
    /// A block on the state joined with the last saved output.
    Join(Box<Block>),
    /// Enlarges the running image.
    EnlargeImage(ResampleFilter),
    /// Adds this level's image to the running one.
    AddImage(GroupNorm, Conv2d),
}

/// The stages in order.
#[derive(Clone, Debug)]
pub(crate) struct DecoderPath(Vec<Stage>);

impl DecoderPath {
    /// Adds its tensors under `dec`, taking the saved outputs' channels from the end; also returns the channels of its
    /// last state. `image` is where the image comes from and its channels, for a decoder that puts one out.
    pub(crate) fn new(
        b: &mut LayoutBuilder,
        w: &Wiring<'_>,
        image: Option<(Decoder, i64)>,
        mut saved: Vec<i64>,
    ) -> Result<(Self, i64)> {
        b.scope("dec", |b| {
            let mut stages = Vec::new();
            let last = w.pyramid.n_levels() - 1;
            let mut channels = w.pyramid.width(last);
            for level in (0..=last).rev() {
                if level == last {
                    let same = (channels, channels);
                    stages.push(Stage::Block(w.block(b, w.name(level, "in0"), same, true)?));
                    stages.push(Stage::Block(w.block(b, w.name(level, "in1"), same, false)?));
                } else {
                    let up = w.resampling(b, w.name(level, "up"), channels, Resize::Up)?;
                    stages.push(Stage::Block(up));
                }
                for i in 0..=w.n_blocks {
                    let c_in = channels + saved.pop().ok_or(UNPAIRED)?;
                    channels = w.pyramid.width(level);
                    let chosen = w.decoder_attention == Attended::All || i == w.n_blocks;
                    let attention = chosen && w.pyramid.has_attention(level);
                    let name = w.name(level, &format!("block{i}"));
                    stages.push(Stage::Join(w.block(b, name, (c_in, channels), attention)?));
                }
                if let Some((kind, image_channels)) = image
                    && (kind == Decoder::Skip || level == 0)
                {
                    let enlarges = kind == Decoder::Skip && level < last;
                    stages.extend(image_stages(b, w, level, (channels, image_channels), enlarges)?);
                }
            }
            Ok((Self(stages), channels))
        })
    }

    /// The last state and, from a decoder that puts one out, the image.
    pub(crate) fn forward(
        &self,
        p: &Params,
        x: &Tensor,
        mut saved: Vec<Tensor>,
        inputs: &BlockInputs<'_>,
    ) -> Result<(Tensor, Option<Tensor>)> {
        let mut x = x.shallow_clone();
        let mut image: Option<Tensor> = None;
        for stage in &self.0 {
            match stage {
                Stage::Block(block) => x = block.forward(p, &x, inputs)?,
                Stage::Join(block) => {
                    let skip = saved.pop().ok_or(UNPAIRED)?;
                    x = block.forward(p, &Tensor::f_cat(&[&x, &skip], 1)?, inputs)?;
                }
                Stage::EnlargeImage(filter) => {
                    image = image.map(|image| filter.up(p, &image)).transpose()?;
                }
                Stage::AddImage(norm, conv) => {
                    let own = conv.forward(p, &norm.forward_within(p, &x, Activation::Silu.into())?)?;
                    image = Some(match image {
                        Some(lower) => own.f_add(&lower)?,
                        None => own,
                    });
                }
            }
        }
        Ok((x, image))
    }
}

/// A level's image; `channels` are the state's and the image's.
fn image_stages(
    b: &mut LayoutBuilder,
    w: &Wiring<'_>,
    level: usize,
    channels: (i64, i64),
    enlarges: bool,
) -> Result<Vec<Stage>> {
    let mut stages = Vec::new();
    if enlarges {
        let filter = b.scope(w.name(level, "aux_up"), |b| ResampleFilter::new(b, &w.style.taps))?;
        stages.push(Stage::EnlargeImage(filter));
    }
    let norm = w.style.norm(b, &w.name(level, "aux_norm"), channels.0)?;
    let (name, init) = (w.name(level, "aux_conv"), w.style.init_zero);
    let conv = Conv2d::with_init(b, &name, channels.0, channels.1, 3, init)?;
    stages.push(Stage::AddImage(norm, conv));
    Ok(stages)
}
