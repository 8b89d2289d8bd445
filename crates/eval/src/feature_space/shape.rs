//! The space of pixels: the shape of its images.

use super::described::Described;
use serde::{Deserialize, Serialize};

/// Channels, height and width of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageShape {
    /// Channels.
    pub channels: u32,
    /// Height.
    pub height: u32,
    /// Width.
    pub width: u32,
}

impl Described for ImageShape {
    fn width(&self) -> usize {
        self.channels as usize * self.height as usize * self.width as usize
    }

    fn label(&self) -> &str {
        "pixels"
    }

    fn words(&self) -> String {
        format!("pixels {}x{}x{}", self.channels, self.height, self.width)
    }
}
