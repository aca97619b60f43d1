//! Plain loops over slices, written so that the compiler turns them into wide vector code.
//!
//! Sums run over a fixed number of lanes, whatever the width of the machine's registers, so a
//! result does not depend on how the loop was compiled. [`vectorized`] picks the widest
//! instructions that the machine has.

/// Runs `body` compiled for the widest vector instructions of this machine.
#[inline(always)]
pub fn vectorized<R>(body: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(body)
}

/// Partial sums kept side by side.
pub(crate) const LANES: usize = 16;

/// Inner product. Call inside [`vectorized`].
#[inline(always)]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0f32; LANES];
    let (a_blocks, b_blocks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let mut rest = 0.0;
    for (x, y) in a_blocks.remainder().iter().zip(b_blocks.remainder()) {
        rest += x * y;
    }
    for (x, y) in a_blocks.zip(b_blocks) {
        for lane in 0..LANES {
            lanes[lane] += x[lane] * y[lane];
        }
    }
    sum_lanes(lanes) + rest
}

/// Sum of all values. Call inside [`vectorized`].
#[inline(always)]
pub fn sum(x: &[f32]) -> f32 {
    let mut lanes = [0f32; LANES];
    let blocks = x.chunks_exact(LANES);
    let rest: f32 = blocks.remainder().iter().sum();
    for block in blocks {
        for lane in 0..LANES {
            lanes[lane] += block[lane];
        }
    }
    sum_lanes(lanes) + rest
}

/// `into += factor * x`. Call inside [`vectorized`].
#[inline(always)]
pub fn add_scaled(into: &mut [f32], factor: f32, x: &[f32]) {
    for (sum, value) in into.iter_mut().zip(x) {
        *sum += factor * value;
    }
}

/// The largest value; negative infinity for none. Call inside [`vectorized`].
#[inline(always)]
pub fn max(x: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let blocks = x.chunks_exact(LANES);
    let rest = blocks.remainder().iter().copied().fold(f32::NEG_INFINITY, larger);
    for block in blocks {
        for lane in 0..LANES {
            lanes[lane] = larger(lanes[lane], block[lane]);
        }
    }
    larger(fold_lanes(lanes, larger), rest)
}

/// `e^x` for `x <= 0`, without branches: within three units in the last place for `x > -8`, and the
/// relative error grows to 1.3e-6 towards -86, below which it stays at its smallest, 4e-38.
///
/// `2^(x log2 e)` by its integer part, which goes into the exponent, and a polynomial of degree five
/// for the rest, fitted for the least relative error with its value at zero exact.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    // Below this the result is no normal number.
    const LOWEST: f32 = -86.0;
    let x = if x > LOWEST { x } else { LOWEST };
    // Rounds to the nearest integer by adding and taking away 1.5 * 2^23.
    const MAGIC: f32 = 12_582_912.0;
    let shifted = x.mul_add(std::f32::consts::LOG2_E, MAGIC);
    let r = x.mul_add(std::f32::consts::LOG2_E, MAGIC - shifted);
    #[allow(clippy::approx_constant, reason = "the best linear coefficient, near ln 2 and not it")]
    const COEFFICIENTS: [f32; 5] = [9.671_513e-3, 5.550_733_6e-2, 2.402_224_2e-1, 6.931_47e-1, 1.0];
    let mut p = 1.326_472_7e-3f32;
    for c in COEFFICIENTS {
        p = p.mul_add(r, c);
    }
    // The last bits of the shifted number are the integer.
    f32::from_bits(p.to_bits().wrapping_add(shifted.to_bits() << 23))
}

/// `Σ e^(x - offset)`. Call inside [`vectorized`].
#[inline(always)]
pub fn sum_exp(x: &[f32], offset: f32) -> f32 {
    let mut lanes = [0f32; LANES];
    let blocks = x.chunks_exact(LANES);
    let mut rest = 0.0;
    for &value in blocks.remainder() {
        rest += exp(value - offset);
    }
    for block in blocks {
        for lane in 0..LANES {
            lanes[lane] += exp(block[lane] - offset);
        }
    }
    sum_lanes(lanes) + rest
}

/// Turns scores, of whole blocks of lanes, into probabilities. Call inside [`vectorized`].
#[inline(always)]
pub fn softmax(x: &mut [f32]) {
    debug_assert!(x.len().is_multiple_of(LANES));
    let largest = max(x);
    x.iter_mut().for_each(|value| *value = exp(*value - largest));
    let factor = 1.0 / sum(x);
    x.iter_mut().for_each(|value| *value *= factor);
}

/// `ln Σ e^x`.
pub fn log_sum_exp(x: &[f32]) -> f32 {
    vectorized(
        #[inline(always)]
        || {
            let largest = max(x);
            largest + sum_exp(x, largest).ln()
        },
    )
}

/// `ln Σ e^x` of all values but those at these indices.
pub fn log_sum_exp_besides(x: &[f32], indices: &[u32]) -> f32 {
    let mut rest = x.to_vec();
    indices.iter().for_each(|&i| rest[i as usize] = f32::NEG_INFINITY);
    log_sum_exp(&rest)
}

/// The `k` largest values with their indices, best first, equal ones in order of index; those at
/// `banned` indices left out.
#[cfg(test)]
pub(crate) fn top_k(x: &[f32], k: usize, banned: &[u32]) -> Vec<(u32, f32)> {
    let values = x.iter().enumerate().map(|(i, &value)| (i as u32, value));
    let mut best: Vec<(u32, f32)> =
        values.filter(|(i, value)| !banned.contains(i) && !value.is_nan()).collect();
    best.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    best.truncate(k);
    best
}

#[inline(always)]
pub(crate) fn sum_lanes(lanes: [f32; LANES]) -> f32 {
    fold_lanes(lanes, |a, b| a + b)
}

/// The second half into the first, again and again.
#[inline(always)]
fn fold_lanes(mut lanes: [f32; LANES], fold: impl Fn(f32, f32) -> f32) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] = fold(lanes[i], lanes[i + half]);
        }
        half /= 2;
    }
    lanes[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn exp_is_near() {
        let worst = |range: std::ops::Range<i32>| {
            let error = |i: i32| {
                let x = -(i as f32) / 1000.0;
                let exact = (x as f64).exp();
                ((exp(x) as f64 - exact) / exact).abs()
            };
            range.map(error).fold(0.0, f64::max)
        };
        assert!(worst(0..8_000) < 3.6e-7, "{}", worst(0..8_000));
        assert!(worst(8_000..86_000) < 1.4e-6, "{}", worst(8_000..86_000));
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(f32::NEG_INFINITY) < 1e-37);
    }

    proptest! {
        #[test]
        fn log_sum_exp_equals_double_precision(x in prop::collection::vec(-30f32..30.0, 1..200)) {
            let exact = x.iter().map(|&v| (v as f64).exp()).sum::<f64>().ln();
            prop_assert!((log_sum_exp(&x) as f64 - exact).abs() < 1e-5 * exact.abs().max(1.0));
        }
    }
}
