//! Non-linearities on plain numbers, for loops that the compiler turns into vector code.

use crate::nn::Activation;
use crate::nn::math::exp;

/// Applies `activation` to every value.
#[inline(always)]
pub(super) fn apply(activation: Activation, x: &mut [f32]) {
    match activation {
        Activation::Relu => x.iter_mut().for_each(|x| *x = if *x > 0.0 { *x } else { 0.0 }),
        Activation::Swish => x.iter_mut().for_each(|x| *x *= sigmoid(*x)),
        Activation::Gelu => x.iter_mut().for_each(|x| *x *= normal_cdf(*x)),
        Activation::GeluNew => x.iter_mut().for_each(|x| *x *= sigmoid(tanh_argument(*x))),
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
            let expected: Vec<f32> = activation.forward(&tensor).unwrap().to_vec1().unwrap();
            let mut y = x.clone();
            apply(activation, &mut y);
            for ((x, y), expected) in x.iter().zip(y).zip(expected) {
                assert!((y - expected).abs() < 1e-6, "{activation:?} {x}: {y}, {expected}");
            }
        }
    }
}
