//! Points on a ring, as images of one pixel in two channels.

use anyhow::Result;
use fewstep::data;
use fewstep::prelude::*;

const RADIUS: f64 = 0.7;

/// `n` points at even distances.
#[derive(Debug)]
pub struct Ring {
    n: usize,
}

impl Ring {
    /// A ring of `n` points.
    pub fn new(n: usize) -> Self {
        Self { n }
    }

    /// Root mean square distance of points `[n, 2, 1, 1]` from the ring.
    pub fn distance(points: &Tensor) -> Result<f64> {
        let radius =
            points.f_square()?.f_flatten(1, -1)?.f_sum_dim_intlist(1, false, Kind::Double)?.f_sqrt()?;
        let off = Vec::<f64>::try_from(radius)?.into_iter().map(|r| (r - RADIUS).powi(2));
        Ok((off.sum::<f64>() / points.size()[0] as f64).sqrt())
    }
}

impl Dataset for Ring {
    fn name(&self) -> &str {
        "ring"
    }

    fn len(&self) -> usize {
        self.n
    }

    fn shape(&self) -> ImageShape {
        ImageShape { c: 2, h: 1, w: 1 }
    }

    fn n_classes(&self) -> usize {
        0
    }

    fn label(&self, _: usize) -> Option<usize> {
        None
    }

    fn read(&self, i: usize, out: &mut [u8]) -> data::Result<()> {
        let angle = std::f64::consts::TAU * i as f64 / self.n as f64;
        let point = [angle.cos(), angle.sin()].map(|x| ((RADIUS * x + 1.0) * 127.5).round() as u8);
        if i >= self.n || out.len() != 2 {
            let source = format!("image {i} of {}, into {} bytes", self.n, out.len()).into();
            return Err(data::Error::Dataset { name: self.name().to_owned(), source });
        }
        out.copy_from_slice(&point);
        Ok(())
    }
}
