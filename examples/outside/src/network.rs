//! A network for points of the plane: two channels of one pixel.

use fewstep::models;
use fewstep::prelude::*;

/// Three layers; the answer is the clean point, by way of the velocity.
#[derive(Debug)]
pub struct Mlp {
    layout: Arc<Layout>,
    layers: [Linear; 3],
}

impl Mlp {
    /// The network of this package.
    pub fn new() -> models::Result<Self> {
        let mut b = LayoutBuilder::new();
        let layers = [
            Linear::new(&mut b, "first", 5, 192)?,
            Linear::new(&mut b, "middle", 192, 192)?,
            Linear::new(&mut b, "last", 192, 2)?,
        ];
        Ok(Self { layout: Arc::new(b.build()), layers })
    }
}

impl Network for Mlp {
    fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    fn image_shape(&self) -> [i64; 3] {
        [2, 1, 1]
    }

    fn denoise(&self, p: &Params, x_t: &Tensor, at: &Levels, _: Conditions<'_>) -> models::Result<Tensor> {
        let column = |f: fn(NoiseLevel) -> f64| at.column(x_t.device(), f);
        let inputs = [x_t, &column(|l| l.alpha)?, &column(|l| l.sigma)?, &column(|l| l.log_snr() / 4.0)?];
        let x = Tensor::f_cat(&inputs, 1)?.f_flatten(1, -1)?.f_to_kind(p.kind())?;
        let h = self.layers[0].forward(p, &x)?.f_silu()?;
        let h = self.layers[1].forward(p, &h)?.f_silu()?;
        let v = self.layers[2].forward(p, &h)?.f_view_as(x_t)?.f_to_kind(Kind::Double)?;
        Prediction::V.x0(x_t, &v, at)
    }
}
