//! What the encoder and the decoder of one of EDM's U-Nets are built from.

use fewstep_torch::LayoutBuilder;

use crate::edm::block::{Block, BlockShape, BlockStyle};
use crate::edm::conv::Resize;
use crate::error::Result;
use crate::pyramid::Pyramid;

/// Sizes, attention and style, shared by both halves.
pub(crate) struct Wiring<'a> {
    pub(crate) pyramid: Pyramid<'a>,
    /// Residual blocks of an encoder level; the decoder has one more.
    pub(crate) n_blocks: usize,
    /// Channels of the input image.
    pub(crate) image_channels: i64,
    /// Channels after the first convolution.
    pub(crate) first_channels: i64,
    /// Which of a level's decoder blocks have attention, where the level has it.
    pub(crate) decoder_attention: Attended,
    pub(crate) style: BlockStyle,
}

/// Blocks of a decoder level that have attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attended {
    All,
    Last,
}

impl Wiring<'_> {
    /// The name of a part of level `level`.
    pub(crate) fn name(&self, level: usize, part: &str) -> String {
        let r = self.pyramid.resolution_of(level);
        format!("{r}x{r}_{part}")
    }

    /// A block that keeps the resolution.
    pub(crate) fn block(
        &self,
        b: &mut LayoutBuilder,
        name: String,
        (c_in, c_out): (i64, i64),
        attention: bool,
    ) -> Result<Box<Block>> {
        let shape = BlockShape { c_in, c_out, resize: Resize::Keep, attention };
        b.scope(name, |b| Block::new(b, &self.style, shape)).map(Box::new)
    }

    /// A block that changes the resolution and nothing else.
    pub(crate) fn resampling(
        &self,
        b: &mut LayoutBuilder,
        name: String,
        channels: i64,
        resize: Resize,
    ) -> Result<Box<Block>> {
        let shape = BlockShape { c_in: channels, c_out: channels, resize, attention: false };
        b.scope(name, |b| Block::new(b, &self.style, shape)).map(Box::new)
    }
}
