//! The float32 kernels of x86-64. Each takes the slices that `float::tile` checked.

use std::arch::x86_64::*;

use super::PANEL;
use super::float::Weights;

/// # Safety
/// The machine has the features; `rows` holds as many rows as there are sums, one to six, each as
/// long as `panel`.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn avx512(
    rows: &[f32],
    panel: &[Weights],
    bias: &[f32; PANEL],
    sums: &mut [Weights],
    next: &[Weights],
) {
    // SAFETY: the rows are as many as there are sums.
    unsafe {
        match sums.len() {
            1 => avx512_rows::<1>(rows, panel, bias, sums, next),
            2 => avx512_rows::<2>(rows, panel, bias, sums, next),
            3 => avx512_rows::<3>(rows, panel, bias, sums, next),
            4 => avx512_rows::<4>(rows, panel, bias, sums, next),
            5 => avx512_rows::<5>(rows, panel, bias, sums, next),
            6 => avx512_rows::<6>(rows, panel, bias, sums, next),
            _ => {}
        }
    }
}

/// # Safety
/// As [`avx512`], of `R` rows.
#[target_feature(enable = "avx512f")]
unsafe fn avx512_rows<const R: usize>(
    rows: &[f32],
    panel: &[Weights],
    bias: &[f32; PANEL],
    sums: &mut [Weights],
    next: &[Weights],
) {
    const REGISTERS: usize = 4;
    let inputs = panel.len();
    // Lines of the next panel to fetch for each input: the tiles share them.
    let fetched = (next.len() * REGISTERS).div_ceil(inputs);
    // SAFETY: `bias`, each of the `R` sums and the weights of each input are four registers of 16
    // numbers; each row holds as many inputs; prefetching touches no memory that could be missing.
    unsafe {
        let mut acc = [[_mm512_setzero_ps(); REGISTERS]; R];
        for row in acc.iter_mut() {
            for (c, register) in row.iter_mut().enumerate() {
                *register = _mm512_loadu_ps(bias.as_ptr().add(16 * c));
            }
        }
        for (i, weights) in panel.iter().enumerate() {
            for line in 0..fetched {
                let line = next.as_ptr().cast::<[f32; 16]>().wrapping_add(i * fetched + line);
                _mm_prefetch::<_MM_HINT_T0>(line.cast());
            }
            let mut w = [_mm512_setzero_ps(); REGISTERS];
            for (c, w) in w.iter_mut().enumerate() {
                *w = _mm512_load_ps(weights.0.as_ptr().add(16 * c));
            }
            for (r, row) in acc.iter_mut().enumerate() {
                let x = _mm512_set1_ps(*rows.as_ptr().add(r * inputs + i));
                for (register, w) in row.iter_mut().zip(w) {
                    *register = _mm512_fmadd_ps(x, w, *register);
                }
            }
        }
        for (sums, row) in sums.iter_mut().zip(acc) {
            for (c, register) in row.into_iter().enumerate() {
                _mm512_store_ps(sums.0.as_mut_ptr().add(16 * c), register);
            }
        }
    }
}

/// # Safety
/// As [`avx512`].
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn avx2(
    rows: &[f32],
    panel: &[Weights],
    bias: &[f32; PANEL],
    sums: &mut [Weights],
) {
    // SAFETY: the rows are as many as there are sums.
    unsafe {
        match sums.len() {
            1 => avx2_rows::<1>(rows, panel, bias, sums),
            2 => avx2_rows::<2>(rows, panel, bias, sums),
            3 => avx2_rows::<3>(rows, panel, bias, sums),
            4 => avx2_rows::<4>(rows, panel, bias, sums),
            5 => avx2_rows::<5>(rows, panel, bias, sums),
            6 => avx2_rows::<6>(rows, panel, bias, sums),
            _ => {}
        }
    }
}

/// # Safety
/// As [`avx2`], of `R` rows.
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2_rows<const R: usize>(
    rows: &[f32],
    panel: &[Weights],
    bias: &[f32; PANEL],
    sums: &mut [Weights],
) {
    let inputs = panel.len();
    for column in (0..PANEL).step_by(16) {
        // SAFETY: of `bias`, each of the `R` sums and the weights of each input these are 16 of 64
        // numbers; each row holds as many inputs as the panel.
        unsafe {
            let bias = bias.as_ptr().add(column);
            let mut acc = [[_mm256_loadu_ps(bias), _mm256_loadu_ps(bias.add(8))]; R];
            for (i, weights) in panel.iter().enumerate() {
                let w = weights.0.as_ptr().add(column);
                let w = [_mm256_load_ps(w), _mm256_load_ps(w.add(8))];
                for (r, row) in acc.iter_mut().enumerate() {
                    let x = _mm256_set1_ps(*rows.as_ptr().add(r * inputs + i));
                    for (register, w) in row.iter_mut().zip(w) {
                        *register = _mm256_fmadd_ps(x, w, *register);
                    }
                }
            }
            for (sums, row) in sums.iter_mut().zip(acc) {
                let to = sums.0.as_mut_ptr().add(column);
                _mm256_store_ps(to, row[0]);
                _mm256_store_ps(to.add(8), row[1]);
            }
        }
    }
}
