#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::nn::Epilogue;
use crate::nn::{Activation, math};

fn kernels() -> impl Iterator<Item = Kernel> {
    Kernel::ALL.into_iter().filter(|kernel| kernel.is_available())
}

fn quantized(kernel: Kernel, x: &[f32], inputs: usize) -> Quantized {
    let mut quantized = Quantized::new(kernel);
    quantized.quantize(x, inputs);
    quantized
}

/// Pseudo-random integers from -127 to 127 as float32, with both bounds in each row, so that they are
/// their own quantization, with a scale of one.
fn integers(seed: u64, rows: usize, width: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut values: Vec<f32> = (0..rows * width)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            ((state >> 32) % 255) as f32 - 127.0
        })
        .collect();
    for (i, row) in values.chunks_exact_mut(width).enumerate() {
        row[i % width] = if i % 2 == 0 { 127.0 } else { -127.0 };
    }
    values
}

/// Pseudo-random values of mixed magnitude.
fn reals(seed: u64, rows: usize, width: usize) -> Vec<f32> {
    let scales = integers(seed + 1, rows, 1);
    let mut values = integers(seed, rows, width);
    for (row, scale) in values.chunks_exact_mut(width).zip(scales) {
        row.iter_mut().for_each(|x| *x *= 1e-4 * scale);
    }
    values
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn integer_sums_are_exact(
        rows in 1usize..=70, inputs in 1usize..200, outputs in 1usize..150, seed: u64,
    ) {
        let x = integers(seed, rows, inputs);
        let w = integers(!seed, outputs, inputs);
        for kernel in kernels() {
            let matrix = PackedMatrix::new(kernel, &w, None, inputs).unwrap();
            let mut y = vec![f32::NAN; rows * outputs];
            matrix.matmul(&quantized(kernel, &x, inputs), Epilogue::Store, &mut y);
            for (row, y) in x.chunks_exact(inputs).zip(y.chunks_exact(outputs)) {
                for (w, &y) in w.chunks_exact(inputs).zip(y) {
                    // All products and sums are below 2^24.
                    let exact: f32 = row.iter().zip(w).map(|(x, w)| x * w).sum();
                    prop_assert_eq!(y, exact, "{:?}", kernel);
                }
            }
        }
    }

    #[test]
    fn results_are_those_of_the_portable_kernel_and_of_single_rows(
        rows in 1usize..=70, inputs in 1usize..200, outputs in 1usize..150, seed in 0..u64::MAX - 1,
        epilogue in prop::sample::select(vec![
            Epilogue::Store, Epilogue::Add,
            Epilogue::Activate(Activation::Relu), Epilogue::Activate(Activation::Swish),
            Epilogue::Activate(Activation::Gelu), Epilogue::Activate(Activation::GeluNew),
        ]),
    ) {
        let x = reals(seed, rows, inputs);
        let w = reals(!seed, outputs, inputs);
        let bias = reals(seed / 2, 1, outputs);
        let product = |kernel, x: &[f32]| {
            let matrix = PackedMatrix::new(kernel, &w, Some(&bias), inputs).unwrap();
            let mut y = vec![0.5; x.len() / inputs * outputs];
            matrix.matmul(&quantized(kernel, x, inputs), epilogue, &mut y);
            bits(&y)
        };
        let expected = product(Kernel::Portable, &x);
        let single: Vec<u32> =
            x.chunks_exact(inputs).flat_map(|row| product(Kernel::Portable, row)).collect();
        prop_assert!(single == expected);
        for kernel in kernels() {
            prop_assert!(product(kernel, &x) == expected, "{kernel:?}");
        }
    }

    #[test]
    fn search_finds_what_a_full_pass_finds(
        rows in 1usize..=20, vocab in 1usize..400, k in 0usize..24, seed in 0..u64::MAX - 1,
        banned in prop::collection::vec(0u32..400, 0..4), coarse: bool,
    ) {
        let inputs = 37;
        let mut x = reals(seed, rows, inputs);
        let w = reals(!seed, vocab, inputs);
        if coarse {
            // Many equal logits.
            x.fill(0.0);
        }
        let bias: Vec<f32> =
            integers(seed / 2, 1, vocab).iter().map(|b| (b / 16.0).round()).collect();
        let banned = vec![banned; rows];
        let mut first: Option<Vec<u32>> = None;
        for kernel in kernels() {
            let layer: OutputLayer =
                OutputLayer::new(kernel, &w, Some(&bias), inputs).unwrap();
            let x = quantized(kernel, &x, inputs);
            let mut found = Vec::new();
            layer.search(&x, k, &banned, &mut found);
            let mut sums = Vec::new();
            for (row, found) in found.iter().enumerate() {
                let logits = layer.logits(&x, row);
                prop_assert_eq!(&found.best, &math::top_k(&logits, k, &banned[row]));
                let exact = math::log_sum_exp(&logits);
                prop_assert!((found.log_sum() - exact).abs() < 1e-5 * exact.abs().max(1.0));
                for id in [0, vocab / 2, vocab - 1] {
                    prop_assert_eq!(layer.logit(&x, row, id as u32), logits[id]);
                }
                sums.push(found.log_sum().to_bits());
            }
            // Another search in the same memory, of the last row alone.
            let (last, mut again) = (found.len() - 1, found.clone());
            let single = {
                let mut q = Quantized::new(kernel);
                q.quantize(&reals(seed, rows, inputs)[last * inputs..], inputs);
                if coarse { q.quantize(&vec![0.0; inputs], inputs); }
                q
            };
            layer.search(&single, k, &banned[..1], &mut again);
            prop_assert_eq!(&again[0].best, &found[last].best);
            prop_assert_eq!(again[0].log_sum().to_bits(), sums[last]);
            prop_assert_eq!(first.get_or_insert_with(|| sums.clone()), &sums, "{:?}", kernel);
        }
    }
}

#[test]
fn the_largest_sums_are_exact() {
    // At 2,048 inputs the sums pass 2^24: compared as integers, in the kernels alone.
    let lines = 32;
    for kernel in kernels() {
        for (x, w) in [(255u8, 127i8), (255, -127), (1, -127), (1, 127), (128, 127)] {
            for rows in
                (1..=kernel.tile_rows(1, 1)).filter(|r| r.is_multiple_of(kernel.block_rows()))
            {
                let _registers = kernel.begin();
                let panel = vec![Line([w as u8; LINE]); lines * PANEL];
                let start = [-128 * 64 * lines as i32 * i32::from(w); PANEL];
                let mut sums = vec![[0; PANEL]; rows];
                let x_lines = vec![Line([x; LINE]); rows * lines];
                kernel.tile(&x_lines, &panel, &start, &mut sums, &[]);
                let exact = (i32::from(x) - 128) * i32::from(w) * 64 * lines as i32;
                assert_eq!(sums, vec![[exact; PANEL]; rows], "{kernel:?} {x} {w}");
            }
        }
    }
}

#[test]
fn values_are_rounded_half_to_even() {
    for kernel in kernels() {
        let mut row = vec![0.5, 1.5, 2.5, -0.5, -1.5, 126.5, 126.4, -127.0, 0.0];
        row.resize(70, 127.0);
        let x = quantized(kernel, &row, 70);
        let expected: [u8; 9] = [128, 130, 130, 128, 126, 254, 254, 1, 128];
        assert_eq!(x.lines(0..1)[0].0[..9], expected, "{kernel:?}");
        assert_eq!(x.lines(0..1)[1].0[5..7], [255, 128], "{kernel:?}");
        assert_eq!(x.scales(), [1.0]);
    }
}

#[test]
fn rows_that_are_zero_or_not_finite_stay_so() {
    for kernel in kernels() {
        let matrix =
            PackedMatrix::new(kernel, &[1.0, -2.0, 0.0, 0.0], Some(&[3.0, 4.0]), 2).unwrap();
        let x = [0.0, 0.0, f32::NAN, 1.0, f32::INFINITY, 1.0, 1e-40, 0.0];
        let mut y = [0.0; 8];
        matrix.matmul(&quantized(kernel, &x, 2), Epilogue::Store, &mut y);
        assert_eq!(y[..2], [3.0, 4.0]);
        assert!(y[2..6].iter().all(|y| y.is_nan()), "{y:?}");
        assert_eq!(y[6..], [3.0, 4.0]);
    }
}

#[test]
fn weights_that_cannot_be_packed_are_refused() {
    let pack = |w: &[f32], bias, inputs| PackedMatrix::new(Kernel::Portable, w, bias, inputs);
    assert!(pack(&[1.0, f32::NAN], None, 2).is_err());
    assert!(pack(&[1.0, f32::NEG_INFINITY], None, 2).is_err());
    assert!(pack(&[1.0, 2.0, 3.0], None, 2).is_err());
    assert!(pack(&[1.0, 2.0], None, 0).is_err());
    assert!(pack(&[1.0, 2.0], Some(&[1.0, 2.0]), 2).is_err());
    assert!(pack(&vec![0.0; (1 << 17) + 1], None, (1 << 17) + 1).is_err());
    assert!(pack(&[1.0, 2.0], Some(&[1.0]), 2).is_ok());
}

#[test]
fn a_kernel_is_forced_by_name() {
    for kernel in Kernel::ALL {
        let forced = Kernel::named(kernel.name());
        assert_eq!(forced.ok(), kernel.is_available().then_some(kernel));
    }
    let error = Kernel::named("sse").unwrap_err();
    assert!(error.contains("sse") && error.contains("portable"), "{error}");
    assert!(Kernel::fastest().is_available());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn float_products_are_those_of_double_precision_and_of_single_rows(
        rows in 1usize..=70, inputs in 1usize..150, outputs in 1usize..150, seed in 0..u64::MAX - 1,
    ) {
        let (x, w) = (reals(seed, rows, inputs), reals(!seed, outputs, inputs));
        let bias = reals(seed / 2, 1, outputs);
        for kernel in kernels() {
            let matrix = FloatMatrix::new(kernel, &w, Some(&bias), inputs).unwrap();
            let mut y = vec![f32::NAN; rows * outputs];
            matrix.matmul(&x, Epilogue::Store, &mut y);
            let layer: OutputLayer<FloatMatrix> =
                OutputLayer::new(kernel, &w, Some(&bias), inputs).unwrap();
            let mut found = Vec::new();
            layer.search(&x, 5, &vec![vec![0]; rows], &mut found);
            for (r, row) in x.chunks_exact(inputs).enumerate() {
                let y = &y[r * outputs..][..outputs];
                let mut single = vec![0.0; outputs];
                matrix.matmul(row, Epilogue::Store, &mut single);
                prop_assert_eq!(bits(y), bits(&single), "{:?}", kernel);
                prop_assert_eq!(&found[r].best, &math::top_k(y, 5, &[0]));
                prop_assert_eq!(layer.logit(&x, r, 0), y[0], "{:?}", kernel);
                for ((w, &y), &bias) in w.chunks_exact(inputs).zip(y).zip(&bias) {
                    let (mut exact, mut size) = (f64::from(bias), f64::from(bias.abs()));
                    for (&x, &w) in row.iter().zip(w) {
                        exact += f64::from(x) * f64::from(w);
                        size += (f64::from(x) * f64::from(w)).abs();
                    }
                    prop_assert!((f64::from(y) - exact).abs() <= 1e-5 * size, "{kernel:?}");
                }
            }
        }
    }
}
