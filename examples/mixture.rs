//! A network and an objective of one's own, on points of the plane, beside TRACT: `cargo run --release --example mixture`
#![allow(clippy::print_stdout)]

use fewstep::prelude::*;
use fewstep::{models, objectives};

/// A point (two channels of one pixel) and its noise level in, the velocity out.
#[derive(Debug)]
struct Mlp(Arc<Layout>, [Linear; 3]);

fn mlp() -> models::Result<Mlp> {
    let mut b = LayoutBuilder::new();
    let mut layer = |name, n_in, n_out| Linear::new(&mut b, name, n_in, n_out);
    let layers = [layer("first", 5, 128)?, layer("middle", 128, 128)?, layer("last", 128, 2)?];
    Ok(Mlp(Arc::new(b.build()), layers))
}

impl Network for Mlp {
    fn layout(&self) -> &Arc<Layout> {
        &self.0
    }
    fn image_shape(&self) -> [i64; 3] {
        [2, 1, 1]
    }
    fn denoise(&self, p: &Params, x: &Tensor, at: &Levels, _: Conditions<'_>) -> models::Result<Tensor> {
        let level = |f: fn(NoiseLevel) -> f64| at.column(x.device(), f);
        let input = [x, &level(|l| l.alpha)?, &level(|l| l.sigma)?, &level(|l| l.log_snr() / 10.0)?];
        let mut h = Tensor::f_cat(&input, 1)?.f_flatten(1, -1)?.f_to_kind(p.kind())?;
        for layer in &self.1[..2] {
            h = layer.forward(p, &h)?.f_silu()?;
        }
        let v = self.1[2].forward(p, &h)?.f_view_as(x)?.f_to_kind(Kind::Double)?;
        Prediction::V.x0(x, &v, at)
    }
}

/// Consistency distillation (arXiv 2303.01469): the same answer from both ends of a teacher's step.
#[derive(Debug)]
struct Consistency(NoiseGrid);

impl Objective for Consistency {
    fn asks(&self) -> Asks {
        Asks { teacher: true, self_teacher: true }
    }
    fn target(&self, ask: &Teachers<'_>, batch: &Batch) -> objectives::Result<Target> {
        let draws = batch.draws.units(Stream::Custom(0));
        let level = |u: &f64, up: usize| self.0.levels()[(u * self.0.steps() as f64) as usize + up];
        let levels = |up| Levels::new(draws.iter().map(|u| level(u, up)).collect());
        let (t, s) = (levels(1), levels(0));
        let x_t = diffuse(&batch.x0, &batch.noise, &t)?;
        let x_s = Solver::Ddim.step(ask.teacher()?, &x_t, &t, &s)?;
        let noisy = s.column(x_t.device(), |l| f64::from(u8::from(l != self.0.first())))?;
        let x0 = x_s.f_lerp_tensor(&ask.self_teacher()?.denoise(&x_s, &s)?, &noisy)?;
        Ok(Target { x_t, at: t, x0, weights: vec![1.0; batch.len()], reduction: Reduction::Sum })
    }
}

fn main() -> anyhow::Result<()> {
    let noise = Key::new(1, 0, Stream::Noise).normals(&[0], 40_000);
    let means = [-0.6, -0.5, 0.7, -0.3, 0.1, 0.6, -0.5, 0.4];
    let points = noise.iter().enumerate().map(|(i, z)| ((means[i % 8] + 0.08 * z + 1.0) * 127.5) as u8);
    let data = InMemory::new("mixture", ImageShape { c: 2, h: 1, w: 1 }, points.collect(), None, 0)?;
    let data: Arc<dyn Dataset> = Arc::new(data);

    let budget = Budget { samples: 200_000, batch: 256, learning_rate: 3e-3, seed: 0 };
    let teacher = train_teacher(Arc::new(mlp()?), Schedule::default(), 64, &data, budget)?;
    let tract = |phase, k| ObjectiveConfig::default().objective(phase, k);
    let tract = distil(&teacher, &[8, 1], &data, budget, &tract)?;
    let own = |phase: PhaseLevels, _| Ok(Arc::new(Consistency(phase.teacher_grid()?)) as _);
    let consistency = distil(&teacher, &[1], &data, budget, &own)?;
    let exact = sample(&teacher, 0..1000)?;
    let error = |model: &Model| -> anyhow::Result<f64> {
        Ok((sample(model, 0..1000)? - &exact).square().mean(Kind::Double).sqrt().double_value(&[]))
    };
    let one = error(&Model { grid: teacher.grid.every(1)?, ..teacher })?;
    let (tract, own) = (error(&tract)?, error(&consistency)?);
    println!("one step is off by: teacher {one:.3}, TRACT {tract:.3}, consistency {own:.3}");
    anyhow::ensure!(one > 3.0 * tract.max(own), "a student did not learn");
    Ok(())
}
