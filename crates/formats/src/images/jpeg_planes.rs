//! JPEG files with one scan per component: the decoder reads each scan as a separate grey image, and this module combines
//! them.
//!
//! Subsampled components are upsampled as libjpeg does by default: with triangular weights if a side is halved, else by
//! repetition. Upsampling and the conversion to RGB use libjpeg's fixed point.

use std::io::Cursor;

use crate::{
    error::Result,
    images::{
        image::{Image, ImageHeader},
        jpeg_decoder::decode_grey,
        jpeg_layout::{Colour, END, Frame, SCAN, Segment, cut_short, damaged, scan_colours},
    },
};

const TABLES: [u8; 3] = [0xc4, 0xdb, 0xdd];

/// One component at its size in the file.
struct Plane {
    width: usize,
    height: usize,
    values: Vec<u8>,
}

/// Decodes a file of three components with one scan each. `header` has been checked.
///
/// # Errors
/// [`Damaged`](crate::Error::Damaged) for a component without a scan or with two, or a scan that the decoder refuses;
/// [`Kind`](crate::Error::Kind) for a scan of two components.
pub(crate) fn decode(bytes: &[u8], header: ImageHeader) -> Result<Image> {
    let mut walk =
        Walk { rest: Cursor::new(bytes), tables: Vec::new(), frame: None, marks: Marks::default() };
    let mut planes: [Option<Plane>; 3] = [None, None, None];
    while planes.iter().any(Option::is_none) {
        let (at, plane) = walk.next_plane()?;
        let place = planes.get_mut(at).ok_or_else(|| damaged("a colour beyond the third"))?;
        if place.replace(plane).is_some() {
            return Err(damaged("two scans of one colour"));
        }
    }
    let (Some(frame), [Some(a), Some(b), Some(c)]) = (walk.frame, planes) else {
        return Err(cut_short());
    };
    let size = (header.width as usize, header.height as usize);
    if (usize::from(frame.width), usize::from(frame.height)) != size || header.channels != 3 {
        return Err(damaged("two frame headers"));
    }
    let mut upsampled = Vec::with_capacity(3);
    for (plane, colour) in [a, b, c].into_iter().zip(&frame.colours) {
        upsampled.push(plane.upsample(&frame, colour, size)?);
    }
    let mut pixels = Vec::with_capacity(header.n_bytes());
    let is_rgb = walk.marks.is_rgb(&frame);
    if let [a, b, c] = upsampled.as_slice() {
        for ((&a, &b), &c) in a.iter().zip(b).zip(c) {
            pixels.extend_from_slice(&if is_rgb { [a, b, c] } else { rgb(a, b, c) });
        }
    }
    Ok(Image { header, pixels })
}

struct Walk<'a> {
    rest: Cursor<&'a [u8]>,
    /// All tables so far, as bytes of the file: a decoder replaces earlier tables by later ones with the same number.
    tables: Vec<u8>,
    frame: Option<Frame>,
    marks: Marks,
}

impl Walk<'_> {
    /// Finds and decodes the next scan. Returns it with the number of its component.
    fn next_plane(&mut self) -> Result<(usize, Plane)> {
        loop {
            let segment = Segment::read(&mut self.rest)?;
            match segment.marker {
                SCAN => return self.plane(&segment),
                END => return Err(damaged("a colour without a scan")),
                marker if TABLES.contains(&marker) => self.tables.extend(segment.bytes()),
                _ if segment.is_frame() && self.frame.is_some() => return Err(damaged("two frame headers")),
                _ if segment.is_frame() => self.frame = Some(Frame::parse(&segment)?),
                _ => self.marks.see(&segment),
            }
        }
    }

    fn plane(&mut self, scan: &Segment) -> Result<(usize, Plane)> {
        let frame = self.frame.as_ref().ok_or_else(|| damaged("a scan before the frame header"))?;
        let ids = scan_colours(scan)?;
        let &[id] = ids.as_slice() else {
            return Err(frame.refused(&format!("a scan of {} after one of 1", ids.len())));
        };
        let found = frame.colours.iter().enumerate().find(|(_, colour)| colour.id == id);
        let (at, colour) = found.ok_or_else(|| damaged("a scan of a colour that is not in the frame"))?;
        let [width, height] = colour.size(frame);
        let ([h0, h1], [w0, w1]) = (height.to_be_bytes(), width.to_be_bytes());
        let grey =
            Segment { marker: frame.marker, payload: vec![8, h0, h1, w0, w1, 1, id, 0x11, colour.table] };
        let start = self.rest.position() as usize;
        let data = self.rest.get_ref().get(start..).unwrap_or_default();
        let data = &data[..data_len(data).ok_or_else(cut_short)?];
        self.rest.set_position((start + data.len()) as u64);
        let file =
            [&[0xff, 0xd8][..], &self.tables, &grey.bytes(), &scan.bytes(), data, &[0xff, END]].concat();
        let (width, height) = (usize::from(width), usize::from(height));
        Ok((at, Plane { width, height, values: decode_grey(&file, width * height)? }))
    }
}

/// Length of a scan's data: up to the first marker that is not part of the data.
fn data_len(data: &[u8]) -> Option<usize> {
    data.windows(2).position(|pair| pair[0] == 0xff && !matches!(pair[1], 0 | 0xff | 0xd0..=0xd7))
}

impl Colour {
    /// Width and height of the component in the file: the frame's size times its sampling factors relative to the largest,
    /// rounded up.
    fn size(&self, frame: &Frame) -> [u16; 2] {
        let (across, down) = frame.finest();
        let of = |side: u16, factor: u8, finest: u8| {
            // At most `side`, because no factor exceeds the largest.
            (u32::from(side) * u32::from(factor)).div_ceil(u32::from(finest)) as u16
        };
        [of(frame.width, self.across, across), of(frame.height, self.down, down)]
    }
}

/// The segments that distinguish RGB from YCbCr, checked in libjpeg's order.
#[derive(Default)]
struct Marks {
    has_jfif: bool,
    adobe_transform: Option<u8>,
}

impl Marks {
    fn see(&mut self, segment: &Segment) {
        match segment.marker {
            0xe0 if segment.payload.starts_with(b"JFIF\0") => self.has_jfif = true,
            0xee if segment.payload.starts_with(b"Adobe") => {
                self.adobe_transform = segment.payload.get(11).copied();
            }
            _ => {}
        }
    }

    /// Whether the components are RGB.
    fn is_rgb(&self, frame: &Frame) -> bool {
        match self.adobe_transform {
            _ if self.has_jfif => false,
            Some(transform) => transform == 0,
            None => frame.colours.iter().map(|colour| colour.id).eq(*b"RGB"),
        }
    }
}

impl Plane {
    fn row(&self, y: usize) -> &[u8] {
        self.values.get(y * self.width..(y + 1) * self.width).unwrap_or_default()
    }

    /// The plane upsampled to the size of the image.
    fn upsample(self, frame: &Frame, colour: &Colour, (width, height): (usize, usize)) -> Result<Vec<u8>> {
        let (across, down) = frame.finest();
        if !across.is_multiple_of(colour.across) || !down.is_multiple_of(colour.down) {
            return Err(frame.refused("one scan a colour"));
        }
        let (across, down) = (usize::from(across / colour.across), usize::from(down / colour.down));
        let mut out = Vec::with_capacity(width * height);
        if (across, down) == (1, 1) {
            return Ok(self.values);
        }
        // libjpeg's exception: planes of at most two columns are repeated.
        let smooth = (across, down) == (1, 2) || across == 2 && down <= 2 && self.width > 2;
        for y in 0..height {
            let near = self.row(y / down);
            match smooth {
                true if down == 1 => out.extend((0..width).map(|x| halved(near, x, 1, 2, 2))),
                true => {
                    let is_lower = y % 2 == 1;
                    let far =
                        if is_lower { (y / 2 + 1).min(self.height - 1) } else { (y / 2).saturating_sub(1) };
                    let far = self.row(far);
                    let sums = near.iter().zip(far).map(|(near, far)| 3 * u16::from(*near) + u16::from(*far));
                    if across == 1 {
                        out.extend(sums.map(|sum| ((sum + 1 + u16::from(is_lower)) >> 2) as u8));
                    } else {
                        let sums: Vec<u16> = sums.collect();
                        out.extend((0..width).map(|x| halved(&sums, x, 8, 7, 4)));
                    }
                }
                false => out.extend((0..width).filter_map(|x| near.get(x / across))),
            }
        }
        if out.len() != width * height {
            return Err(damaged("a colour of another size than the image"));
        }
        Ok(out)
    }
}

/// Column `x` of a row upsampled by two: three quarters of the nearer value and one quarter of the other, with the rounding
/// offset `even` or `odd`.
fn halved<T: Copy + Into<u16>>(row: &[T], x: usize, even: u16, odd: u16, shift: u32) -> u8 {
    let at = x / 2;
    let (other, round) =
        if x.is_multiple_of(2) { (at.saturating_sub(1), even) } else { ((at + 1).min(row.len() - 1), odd) };
    let (near, other): (u16, u16) = (row[at].into(), row[other].into());
    ((3 * near + other + round) >> shift) as u8
}

/// YCbCr to RGB by the JFIF matrix, in fixed point with 16 fractional bits.
fn rgb(y: u8, cb: u8, cr: u8) -> [u8; 3] {
    const HALF: i32 = 1 << 15;
    let (y, cb, cr) = (i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128);
    let red = y + ((91_881 * cr + HALF) >> 16);
    let green = y + ((-22_554 * cb - 46_802 * cr + HALF) >> 16);
    let blue = y + ((116_130 * cb + HALF) >> 16);
    [red, green, blue].map(|value| value.clamp(0, 255) as u8)
}
