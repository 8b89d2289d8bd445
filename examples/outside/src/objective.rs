//! Consistency distillation (arXiv 2303.01469, algorithm 2): the student answers alike at both ends of a teacher's step.

use fewstep::objectives::{Error, Result};
use fewstep::prelude::*;

/// On the steps of one grid, each drawn as often as the others.
#[derive(Debug)]
pub struct Consistency {
    grid: NoiseGrid,
}

impl Consistency {
    /// On this grid.
    pub fn new(grid: NoiseGrid) -> Self {
        Self { grid }
    }
}

impl Objective for Consistency {
    fn asks(&self) -> Asks {
        Asks { teacher: true, self_teacher: true }
    }

    fn target(&self, ask: &Teachers<'_>, batch: &Batch) -> Result<Target> {
        let steps = std::num::NonZero::new(self.grid.steps() as u64);
        let steps = steps.ok_or_else(|| Error::other("a grid without steps"))?;
        let lower = batch.draws.below(Stream::Custom(1), steps);
        let levels =
            |up: usize| Levels::new(lower.iter().map(|&i| self.grid.levels()[i as usize + up]).collect());
        let (t, s) = (levels(1), levels(0));

        let x_t = diffuse(&batch.x0, &batch.noise, &t)?;
        let x_s = Solver::Ddim.step(ask.teacher()?, &x_t, &t, &s)?;
        let answer = ask.self_teacher()?.denoise(&x_s, &s)?;
        // At the clean end the consistency function is the identity.
        let clean: Vec<bool> = lower.iter().map(|&i| i == 0).collect();
        let clean = Tensor::f_from_slice(&clean)?.f_to_kind(Kind::Bool)?.f_view([-1, 1, 1, 1])?;
        let x0 = x_s.f_where_self(&clean, &answer)?;
        Ok(Target { x_t, at: t, x0, weights: vec![1.0; batch.len()], reduction: Reduction::Sum })
    }
}
