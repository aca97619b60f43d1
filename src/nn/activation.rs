//! Non-linearities, in loops that the compiler turns into vector code.

use serde::Deserialize;

use super::math::exp;

/// The non-linearity of a feed-forward block, under the names of `config.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// `max(x, 0)`.
    Relu,
    /// `x · sigmoid(x)`.
    #[serde(alias = "silu")]
    Swish,
    /// The exact gelu, with the error function.
    Gelu,
    /// The gelu with tanh.
    #[serde(rename = "gelu_new", alias = "gelu_pytorch_tanh")]
    GeluNew,
}

impl Activation {
    /// Applied to every value. Call inside [`super::math::vectorized`] or a kernel.
    #[inline(always)]
    pub fn apply(self, x: &mut [f32]) {
        match self {
            Activation::Relu => x.iter_mut().for_each(|x| *x = if *x > 0.0 { *x } else { 0.0 }),
            Activation::Swish => x.iter_mut().for_each(|x| *x *= sigmoid(*x)),
            Activation::Gelu => x.iter_mut().for_each(|x| *x *= normal_cdf(*x)),
            Activation::GeluNew => x.iter_mut().for_each(|x| *x *= sigmoid(tanh_argument(*x))),
        }
    }
}

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    let e = exp(-x.abs());
    (if x > 0.0 { 1.0 } else { e }) / (1.0 + e)
}

/// `(1 + tanh u) / 2` is `sigmoid(2u)`: this is `2u`.
#[inline(always)]
fn tanh_argument(x: f32) -> f32 {
    const SQRT_8_OVER_PI: f32 = 1.595_769;
    SQRT_8_OVER_PI * (x + 0.044_715 * x * x * x)
}

/// The standard normal distribution function to 1e-7: M. Abramowitz and I. Stegun, *Handbook of
/// Mathematical Functions* (1964), 7.1.26.
#[inline(always)]
fn normal_cdf(x: f32) -> f32 {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let mut p = 1.061_405_4;
    for c in [-1.453_152, 1.421_413_8, -0.284_496_74, 0.254_829_6] {
        p = p * t + c;
    }
    let upper = 0.5 * p * t * exp(-z * z);
    if x > 0.0 { 1.0 - upper } else { upper }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use candle_core::{Device, Tensor};

    #[test]
    fn equals_candle() {
        let x: Vec<f32> = (-3000..=3000).map(|i| i as f32 / 250.0).collect();
        for activation in
            [Activation::Relu, Activation::Swish, Activation::Gelu, Activation::GeluNew]
        {
            let tensor = Tensor::new(x.clone(), &Device::Cpu).unwrap();
            let expected = match activation {
                Activation::Relu => tensor.relu(),
                Activation::Swish => tensor.silu(),
                Activation::Gelu => tensor.gelu_erf(),
                Activation::GeluNew => tensor.gelu(),
            };
            let expected: Vec<f32> = expected.unwrap().to_vec1().unwrap();
            let mut y = x.clone();
            activation.apply(&mut y);
            for ((x, y), expected) in x.iter().zip(y).zip(expected) {
                assert!((y - expected).abs() < 1e-6, "{activation:?} {x}: {y}, {expected}");
            }
        }
    }
}
