//! How the weights and biases of layers start.

use fewstep_torch::Init;

/// The scale that a layer's initial weights take from its fans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scaling {
    /// Uniform with bound `sqrt(6 / (fan_in + fan_out))` (Glorot & Bengio 2010).
    XavierUniform,
    /// Uniform with bound `sqrt(3 / fan_in)`: variance `1 / fan_in` (arXiv 1502.01852 with gain 1).
    KaimingUniform,
    /// Normal with variance `1 / fan_in`.
    KaimingNormal,
}

/// A scaling, and factors on it for weights and biases; a factor of 0 starts at zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerInit {
    /// Scaling by fans.
    pub scaling: Scaling,
    /// Factor on the weights.
    pub weight: f64,
    /// Factor on the biases.
    pub bias: f64,
}

impl LayerInit {
    /// Xavier's scaling times `weight`; biases start at zero.
    pub fn xavier(weight: f64) -> Self {
        Self { scaling: Scaling::XavierUniform, weight, bias: 0.0 }
    }

    /// Start of the weights of a layer with these fans.
    pub fn weights(&self, fan_in: i64, fan_out: i64) -> Init {
        self.scaled(self.weight, fan_in, fan_out)
    }

    /// Start of the biases of a layer with these fans.
    pub fn biases(&self, fan_in: i64, fan_out: i64) -> Init {
        self.scaled(self.bias, fan_in, fan_out)
    }

    fn scaled(&self, factor: f64, fan_in: i64, fan_out: i64) -> Init {
        let (fan_in, fan_out) = (fan_in as f64, fan_out as f64);
        if factor == 0.0 {
            return Init::Zeros;
        }
        match self.scaling {
            Scaling::XavierUniform => Init::Uniform(factor * (6.0 / (fan_in + fan_out)).sqrt()),
            Scaling::KaimingUniform => Init::Uniform(factor * (3.0 / fan_in).sqrt()),
            Scaling::KaimingNormal => Init::Normal(factor * (1.0 / fan_in).sqrt()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_follow_the_fans_and_zero_is_zero() {
        assert_eq!(LayerInit::xavier(1.0).weights(2, 4), Init::Uniform(1.0));
        assert_eq!(LayerInit::xavier(0.0).weights(2, 4), Init::Zeros);
        assert_eq!(LayerInit::xavier(1.0).biases(2, 4), Init::Zeros);
        let kaiming = LayerInit { scaling: Scaling::KaimingUniform, weight: 2.0, bias: 0.5 };
        assert_eq!(kaiming.weights(12, 1), Init::Uniform(1.0));
        assert_eq!(kaiming.biases(12, 1), Init::Uniform(0.25));
        let normal = LayerInit { scaling: Scaling::KaimingNormal, ..kaiming };
        assert_eq!(normal.weights(4, 1), Init::Normal(1.0));
    }
}
