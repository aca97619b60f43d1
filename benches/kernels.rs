//! Speed of the 8-bit matrix products on one core; divan's items are operations, two for each weight
//! and row.
//!
//! `TARJIM_KERNEL` forces a kernel.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use divan::Bencher;
use divan::counter::ItemsCount;
use tarjim::nn::kernels::{FloatMatrix, Kernel, Matrix, OutputLayer, PackedMatrix, Quantized};
use tarjim::nn::{Activation, Epilogue};

fn main() {
    println!("kernel: {}", Kernel::select().unwrap().name());
    divan::main();
}

const ROWS: [usize; 6] = [1, 4, 8, 16, 64, 256];

/// Tokens of opus-mt-ar-en.
const VOCABULARY: usize = 62_834;

/// Pseudo-random values between -1 and 1.
fn noise(count: usize) -> Vec<f32> {
    let mut state = 1u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    std::iter::repeat_with(next).take(count).collect()
}

fn activations(kernel: Kernel, rows: usize, inputs: usize) -> Quantized {
    let mut x = Quantized::new(kernel);
    x.quantize(&noise(rows * inputs), inputs);
    x
}

fn product(bencher: Bencher, rows: usize, inputs: usize, outputs: usize, epilogue: Epilogue) {
    let kernel = Kernel::select().unwrap();
    let matrix = PackedMatrix::new(kernel, &noise(inputs * outputs), None, inputs).unwrap();
    let x = activations(kernel, rows, inputs);
    let mut y = vec![0.0; rows * outputs];
    bencher
        .counter(ItemsCount::new(2 * rows * inputs * outputs))
        .bench_local(|| matrix.matmul(&x, epilogue, &mut y));
}

#[divan::bench(args = ROWS, min_time = 0.1, max_time = 0.3)]
fn product_512x512(bencher: Bencher, rows: usize) {
    product(bencher, rows, 512, 512, Epilogue::Store);
}

#[divan::bench(args = ROWS, min_time = 0.1, max_time = 0.3)]
fn product_512x2048(bencher: Bencher, rows: usize) {
    product(bencher, rows, 512, 2048, Epilogue::Store);
}

#[divan::bench(args = ROWS, min_time = 0.1, max_time = 0.3)]
fn product_512x2048_swish(bencher: Bencher, rows: usize) {
    product(bencher, rows, 512, 2048, Epilogue::Activate(Activation::Swish));
}

#[divan::bench(args = ROWS, min_time = 0.1, max_time = 0.3)]
fn product_2048x512(bencher: Bencher, rows: usize) {
    product(bencher, rows, 2048, 512, Epilogue::Store);
}

/// As many weights as the decoder layers of opus-mt-ar-en have, so that they come from memory.
#[divan::bench(args = ROWS, min_time = 0.1, max_time = 0.5)]
fn decoder_step(bencher: Bencher, rows: usize) {
    let kernel = Kernel::select().unwrap();
    let weights = noise(512 * 2048);
    let layers: Vec<PackedMatrix> =
        (0..21).map(|_| PackedMatrix::new(kernel, &weights, None, 512).unwrap()).collect();
    let x = activations(kernel, rows, 512);
    let mut y = vec![0.0; rows * 2048];
    bencher.counter(ItemsCount::new(2 * rows * layers.len() * weights.len())).bench_local(|| {
        layers.iter().for_each(|layer| layer.matmul(&x, Epilogue::Store, &mut y));
    });
}

#[divan::bench(args = ROWS, min_time = 0.1, max_time = 0.5)]
fn search_512x62834(bencher: Bencher, rows: usize) {
    let kernel = Kernel::select().unwrap();
    let layer: OutputLayer = OutputLayer::new(kernel, &noise(512 * VOCABULARY), None, 512).unwrap();
    let x = activations(kernel, rows, 512);
    let (banned, mut found) = (vec![vec![0]; rows], Vec::new());
    bencher
        .counter(ItemsCount::new(2 * rows * 512 * VOCABULARY))
        .bench_local(|| layer.search(&x, 8, &banned, &mut found));
}

#[divan::bench(args = ROWS, min_time = 0.1, max_time = 0.3)]
fn float_512x2048(bencher: Bencher, rows: usize) {
    float_product(bencher, rows, 512, 2048);
}

#[divan::bench(args = ROWS, min_time = 0.1, max_time = 0.3)]
fn float_2048x512(bencher: Bencher, rows: usize) {
    float_product(bencher, rows, 2048, 512);
}

fn float_product(bencher: Bencher, rows: usize, inputs: usize, outputs: usize) {
    let kernel = Kernel::select().unwrap();
    let matrix = FloatMatrix::new(kernel, &noise(inputs * outputs), None, inputs).unwrap();
    let (x, mut y) = (noise(rows * inputs), vec![0.0; rows * outputs]);
    bencher
        .counter(ItemsCount::new(2 * rows * inputs * outputs))
        .bench_local(|| matrix.matmul(&x, Epilogue::Store, &mut y));
}

#[divan::bench(args = ROWS, min_time = 0.1, max_time = 0.3)]
fn quantize_512(bencher: Bencher, rows: usize) {
    let x = noise(rows * 512);
    let mut quantized = Quantized::new(Kernel::select().unwrap());
    bencher.counter(ItemsCount::new(rows * 512)).bench_local(|| quantized.quantize(&x, 512));
}
