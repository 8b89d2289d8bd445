//! The layout of a JPEG file's colour components: their sampling factors, and how many of them the first scan holds.
//!
//! The decoder is correct for a single scan of all components and for progressive files, if no component is sampled finer
//! than the first. It is silently wrong for the other layouts of the standard, as a comparison with libjpeg of each layout
//! showed. So this module reads the markers first: [`Layout::Apart`] is decoded by `jpeg_planes`, and other layouts are
//! refused with a description.

use std::io::Read;

use crate::error::{Error, Format, Result};

pub(crate) const END: u8 = 0xd9;
pub(crate) const SCAN: u8 = 0xda;
const PROGRESSIVE: u8 = 0xc2;

/// The layout of a file's components.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// A layout that the decoder reads correctly.
    Together,
    /// One scan per component.
    Apart,
}

/// A marker with its payload.
pub(crate) struct Segment {
    pub(crate) marker: u8,
    /// The payload without the two bytes of its length.
    pub(crate) payload: Vec<u8>,
}

impl Segment {
    /// Reads the next marker with its payload. Bytes before the marker are skipped, as in every decoder.
    pub(crate) fn read(input: &mut impl Read) -> Result<Self> {
        let marker = loop {
            if byte(input)? != 0xff {
                continue;
            }
            let mut marker = 0xff;
            while marker == 0xff {
                marker = byte(input)?;
            }
            if marker != 0 {
                break marker;
            }
        };
        // These markers have no payload.
        if matches!(marker, 0x01 | 0xd0..=END) {
            return Ok(Self { marker, payload: Vec::new() });
        }
        let len = u16::from_be_bytes([byte(input)?, byte(input)?]);
        let len = len.checked_sub(2).ok_or_else(|| damaged("a segment shorter than its length"))?;
        let mut payload = vec![0; usize::from(len)];
        input.read_exact(&mut payload).map_err(|_| cut_short())?;
        Ok(Self { marker, payload })
    }

    /// The segment as bytes of a file.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        // The length has 16 bits and includes itself.
        let len = self.payload.len() as u16 + 2;
        [&[0xff, self.marker][..], &len.to_be_bytes(), &self.payload].concat()
    }

    pub(crate) fn is_frame(&self) -> bool {
        matches!(self.marker, 0xc0..=0xcf) && !matches!(self.marker, 0xc4 | 0xc8 | 0xcc)
    }
}

/// The frame header.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) marker: u8,
    pub(crate) height: u16,
    pub(crate) width: u16,
    pub(crate) colours: Vec<Colour>,
}

/// A colour component in the frame header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Colour {
    pub(crate) id: u8,
    /// Horizontal sampling factor.
    pub(crate) across: u8,
    /// Vertical sampling factor.
    pub(crate) down: u8,
    pub(crate) table: u8,
}

impl Frame {
    pub(crate) fn parse(segment: &Segment) -> Result<Self> {
        let (&[_, h0, h1, w0, w1, n], rest) = segment.payload.split_first_chunk().ok_or_else(cut_short)?;
        let colours: Vec<Colour> = rest
            .as_chunks::<3>()
            .0
            .iter()
            .map(|&[id, factors, table]| Colour { id, across: factors >> 4, down: factors & 15, table })
            .collect();
        let is_factor = |factor: u8| (1..=4).contains(&factor);
        if colours.len() != usize::from(n)
            || !colours.iter().all(|c| is_factor(c.across) && is_factor(c.down))
        {
            return Err(damaged("a frame header that contradicts itself"));
        }
        let (height, width) = (u16::from_be_bytes([h0, h1]), u16::from_be_bytes([w0, w1]));
        Ok(Self { marker: segment.marker, height, width, colours })
    }

    /// The largest horizontal and vertical sampling factors.
    pub(crate) fn finest(&self) -> (u8, u8) {
        let most = |of: fn(&Colour) -> u8| self.colours.iter().map(of).max().unwrap_or(1);
        (most(|colour| colour.across), most(|colour| colour.down))
    }

    fn is_first_finest(&self) -> bool {
        self.colours.first().is_some_and(|first| (first.across, first.down) == self.finest())
    }

    /// The error for a layout that is not supported.
    pub(crate) fn refused(&self, scan: &str) -> Error {
        let sampling: Vec<String> =
            self.colours.iter().map(|colour| format!("{}x{}", colour.across, colour.down)).collect();
        Error::Kind {
            format: Format::Jpeg,
            expected: "one scan of all colours or one a colour, the first colour sampled finest".to_owned(),
            got: format!("{} colours sampled {}, {scan}", self.colours.len(), sampling.join(" ")),
        }
    }
}

/// The ids of a scan's components.
pub(crate) fn scan_colours(segment: &Segment) -> Result<Vec<u8>> {
    let (&n, rest) = segment.payload.split_first().ok_or_else(cut_short)?;
    let colours = rest.get(..2 * usize::from(n)).ok_or_else(cut_short)?;
    Ok(colours.iter().step_by(2).copied().collect())
}

impl Layout {
    /// The layout of a file. Reads only up to the first scan.
    ///
    /// # Errors
    /// [`Error::Kind`] for a layout that would be decoded wrongly, [`Error::Damaged`] for a file without frame and scan.
    pub(crate) fn read(mut input: impl Read) -> Result<Self> {
        let mut frame: Option<Frame> = None;
        loop {
            let segment = Segment::read(&mut input)?;
            if segment.is_frame() {
                frame = Some(Frame::parse(&segment)?);
            } else if segment.marker == END {
                return Err(damaged("no scan before its end"));
            } else if segment.marker == SCAN {
                let frame = frame.ok_or_else(|| damaged("a scan before the frame header"))?;
                return Self::of(&frame, scan_colours(&segment)?.len());
            }
        }
    }

    fn of(frame: &Frame, n_in_first_scan: usize) -> Result<Self> {
        let n = frame.colours.len();
        let is_sequential = matches!(frame.marker, 0xc0 | 0xc1);
        let is_whole = n_in_first_scan == n || frame.marker == PROGRESSIVE;
        if n == 1 || matches!(n, 3 | 4) && is_whole && frame.is_first_finest() {
            Ok(Self::Together)
        } else if n == 3 && n_in_first_scan == 1 && is_sequential {
            Ok(Self::Apart)
        } else {
            Err(frame.refused(&format!("{n_in_first_scan} of them in the first scan")))
        }
    }
}

fn byte(input: &mut impl Read) -> Result<u8> {
    let mut byte = [0];
    input.read_exact(&mut byte).map_err(|_| cut_short())?;
    Ok(byte[0])
}

pub(crate) fn damaged(reason: &str) -> Error {
    Error::Damaged { format: Format::Jpeg, reason: reason.to_owned() }
}

pub(crate) fn cut_short() -> Error {
    damaged("cut short")
}
