//! The inner loops of attention: for every key as many short inner products as there are heads, and
//! sums of values by weight.

use super::quantized::{factor_and_scale, lines_of, round};
use super::{LINE, Line};
use crate::nn::math;

/// How [`Dots::each`] is computed on this machine.
#[derive(Debug, Clone, Copy)]
pub struct Dots {
    /// Values of a head.
    part: usize,
    wide: bool,
}

impl Dots {
    /// For heads of `part` values.
    pub fn new(part: usize) -> Self {
        #[cfg(target_arch = "x86_64")]
        let wide = part.is_multiple_of(16) && std::is_x86_feature_detected!("avx512f");
        #[cfg(not(target_arch = "x86_64"))]
        let wide = false;
        Dots { part, wide }
    }

    /// `out[head * stride] = Σ query · key` over the values of every head. Both ways give the same
    /// bits, as they add in the same order.
    #[inline(always)]
    pub fn each(self, query: &[f32], key: &[f32], out: &mut [f32], stride: usize) {
        assert_eq!(query.len(), key.len());
        #[cfg(target_arch = "x86_64")]
        if self.wide {
            // SAFETY: `new` has seen that the machine has the features; the lengths are equal.
            return unsafe { dots_avx512(query, key, self.part, out, stride) };
        }
        let heads = query.chunks_exact(self.part).zip(key.chunks_exact(self.part));
        for (out, (query, key)) in out.iter_mut().step_by(stride).zip(heads) {
            *out = math::dot(query, key);
        }
    }
}

/// # Safety
/// The machine has AVX-512F; `query` and `key` are of one length, and `part` a multiple of 16.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn dots_avx512(query: &[f32], key: &[f32], part: usize, out: &mut [f32], stride: usize) {
    use std::arch::x86_64::*;
    for (head, out) in out.iter_mut().step_by(stride).take(query.len() / part).enumerate() {
        let mut sum = _mm512_setzero_ps();
        for at in (head * part..(head + 1) * part).step_by(16) {
            // SAFETY: `at + 16` is no more than the length of both.
            let (query, key) = unsafe {
                (_mm512_loadu_ps(query.as_ptr().add(at)), _mm512_loadu_ps(key.as_ptr().add(at)))
            };
            sum = _mm512_add_ps(sum, _mm512_mul_ps(query, key));
        }
        *out = _mm512_reduce_add_ps(sum);
    }
}

/// Keys and values in eight bits, every head of each with a scale of its own: `x ≈ value · scale`,
/// with values from -127 to 127.
#[derive(Debug, Clone)]
pub struct ByteMemory {
    heads: usize,
    width: usize,
    /// `[rows, 2, lines]`: keys with 128 added, as the instructions want one factor unsigned, and
    /// values as they are.
    lines: Vec<Line>,
    /// `[rows, 2, heads]`, of key and value.
    scales: Vec<f32>,
}

impl ByteMemory {
    /// Without rows yet, for keys and values of `width`.
    pub fn new(heads: usize, width: usize) -> Self {
        ByteMemory { heads, width, lines: Vec::new(), scales: Vec::new() }
    }

    /// Adds rows, each a key and a value side by side.
    pub fn extend<'a>(&mut self, pairs: impl Iterator<Item = &'a [f32]>) {
        let lines = lines_of(self.width);
        math::vectorized(
            #[inline(always)]
            || {
                for pair in pairs {
                    let (key, value) = pair.split_at(self.width);
                    let (at, scale) = (self.lines.len(), self.scales.len());
                    self.lines.resize(at + 2 * lines, Line([0; LINE]));
                    self.scales.resize(scale + 2 * self.heads, 0.0);
                    let (keys, values) = self.lines[at..].split_at_mut(lines);
                    let (key_scales, value_scales) = self.scales[scale..].split_at_mut(self.heads);
                    quantize::<128>(key, unsigned_mut(keys), key_scales);
                    quantize::<0>(value, unsigned_mut(values), value_scales);
                }
            },
        );
    }

    /// Forgets all rows and keeps the space.
    pub fn clear(&mut self) {
        self.lines.clear();
        self.scales.clear();
    }

    /// `scores[head * stride + k] = Σ query · key`, for every head and the key of each of `rows`.
    #[inline(always)]
    pub fn scores(&self, query: &mut ByteQuery, rows: &[u32], scores: &mut [f32], stride: usize) {
        let lines = lines_of(self.width);
        for (k, &row) in rows.iter().enumerate() {
            let row = row as usize;
            let key = &self.lines[row * 2 * lines..][..lines];
            query.dots(key);
            let scales = &self.scales[row * 2 * self.heads..][..self.heads];
            let found = query.sums.iter().zip(&query.scales).zip(scales);
            for (score, ((&sum, a), b)) in scores[k..].iter_mut().step_by(stride).zip(found) {
                *score = sum as f32 * (a * b);
            }
        }
    }

    /// Adds to each head of `out`, `[width]`, the values of `rows`, by `weights`, `[heads, stride]`.
    /// The weights are scratch afterwards. Call inside [`math::vectorized`].
    #[inline(always)]
    pub fn mix(&self, rows: &[u32], weights: &mut [f32], stride: usize, out: &mut [f32]) {
        if rows.is_empty() {
            return;
        }
        let lines = lines_of(self.width);
        let part = self.width / self.heads;
        for (head, out) in out.chunks_exact_mut(part).enumerate() {
            let weights = &mut weights[head * stride..][..rows.len()];
            for (weight, &row) in weights.iter_mut().zip(rows) {
                *weight *= self.scales[(row as usize * 2 + 1) * self.heads + head];
            }
            let value = |row: u32| {
                let lines = &self.lines[(row as usize * 2 + 1) * lines..][..lines];
                &signed(lines)[head * part..][..part]
            };
            // Four at a time, so that sums stay in registers longer.
            let (rows, weights) = (rows.as_chunks::<4>(), weights.as_chunks::<4>());
            for (&[a, b, c, d], w) in rows.0.iter().zip(weights.0) {
                let values = value(a).iter().zip(value(b)).zip(value(c)).zip(value(d));
                for (out, (((&a, &b), &c), &d)) in out.iter_mut().zip(values) {
                    let sum = *out + w[0] * f32::from(a) + w[1] * f32::from(b);
                    *out = sum + w[2] * f32::from(c) + w[3] * f32::from(d);
                }
            }
            for (&row, weight) in rows.1.iter().zip(weights.1) {
                for (out, &value) in out.iter_mut().zip(value(row)) {
                    *out += weight * f32::from(value);
                }
            }
        }
    }
}

/// A query in eight bits, as keys are.
#[derive(Debug, Clone, Default)]
pub struct ByteQuery {
    lines: Vec<Line>,
    /// `-128 · Σ values` of each head: makes up for the 128 added to keys.
    starts: Vec<i32>,
    /// What [`ByteQuery::dots`] found for each head.
    sums: Vec<i32>,
    /// `[heads]`.
    scales: Vec<f32>,
    /// Values of a head.
    part: usize,
    #[cfg(target_arch = "x86_64")]
    wide: Option<WideDots>,
}

impl ByteQuery {
    /// Takes `x`, `[heads, part]`, in place of the query before. Call inside [`math::vectorized`].
    #[inline(always)]
    pub fn quantize(&mut self, x: &[f32], heads: usize) {
        let part = x.len() / heads;
        self.lines.resize(lines_of(x.len()), Line([0; LINE]));
        self.scales.resize(heads, 0.0);
        quantize::<0>(x, unsigned_mut(&mut self.lines), &mut self.scales);
        let sum = |head: &[i8]| head.iter().map(|&value| i32::from(value)).sum::<i32>();
        self.starts.clear();
        self.starts
            .extend(signed(&self.lines)[..x.len()].chunks_exact(part).map(|h| -128 * sum(h)));
        self.sums.resize(self.starts.len(), 0);
        #[cfg(target_arch = "x86_64")]
        if part != self.part {
            self.wide = WideDots::new(x.len(), part);
        }
        self.part = part;
    }

    /// `sums = Σ query · key` of every head, for a key with 128 added.
    #[inline(always)]
    fn dots(&mut self, key: &[Line]) {
        #[cfg(target_arch = "x86_64")]
        if let Some(dots) = self.wide {
            return dots.each(&self.lines, key, &self.starts, &mut self.sums);
        }
        let heads = signed(&self.lines).chunks_exact(self.part);
        let heads = heads.zip(unsigned(key).chunks_exact(self.part)).zip(&self.starts);
        for (sum, ((query, key), start)) in self.sums.iter_mut().zip(heads) {
            *sum = *start;
            for (&q, &k) in query.iter().zip(key) {
                *sum += i32::from(q) * i32::from(k);
            }
        }
    }
}

/// Writes `x`, `[heads, part]`, in eight bits, with `OFFSET` added, and the scale of each head.
#[inline(always)]
fn quantize<const OFFSET: i32>(x: &[f32], bytes: &mut [u8], scales: &mut [f32]) {
    let part = x.len() / scales.len();
    let heads = x.chunks_exact(part).zip(bytes.chunks_exact_mut(part));
    for ((x, bytes), scale) in heads.zip(scales) {
        let factor;
        (factor, *scale) = factor_and_scale(x);
        for (byte, &x) in bytes.iter_mut().zip(x) {
            *byte = round(x, factor).wrapping_add(OFFSET) as u8;
        }
    }
}

/// The bytes of lines.
fn unsigned(lines: &[Line]) -> &[u8] {
    // SAFETY: a line is 64 bytes and nothing else, and lines stand without gaps.
    unsafe { std::slice::from_raw_parts(lines.as_ptr().cast(), lines.len() * LINE) }
}

/// The bytes of lines, to be written.
fn unsigned_mut(lines: &mut [Line]) -> &mut [u8] {
    // SAFETY: as in `unsigned`; any byte makes a line.
    unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), lines.len() * LINE) }
}

/// The bytes of lines, as they were before their sign was lost.
fn signed(lines: &[Line]) -> &[i8] {
    // SAFETY: as in `unsigned`; the two types are alike but for what their bits mean.
    unsafe { std::slice::from_raw_parts(lines.as_ptr().cast(), lines.len() * LINE) }
}

/// Inner products of all heads at once, with AVX-512 VNNI, for the shapes that models have: the sums
/// of four products fill registers, and neighbours in them are added until a head is one number.
#[cfg(target_arch = "x86_64")]
#[derive(Debug, Clone, Copy)]
struct WideDots {
    lines: usize,
    /// How often neighbours are added: the binary logarithm of a quarter of a head.
    levels: usize,
}

#[cfg(target_arch = "x86_64")]
impl WideDots {
    /// If there is code for heads of `part` values, `width` together, on this machine.
    fn new(width: usize, part: usize) -> Option<Self> {
        let wide = std::is_x86_feature_detected!("avx512f")
            && std::is_x86_feature_detected!("avx512vnni")
            && width.is_multiple_of(LINE);
        let dots = WideDots { lines: width / LINE, levels: (part / 4).max(1).ilog2() as usize };
        let known = matches!((width, part), (256, 32 | 64) | (512, 32 | 64) | (768 | 1024, 64));
        (wide && known).then_some(dots)
    }

    /// See [`ByteQuery::dots`]; there are as many `starts` and `sums` as heads.
    #[inline(always)]
    fn each(self, query: &[Line], key: &[Line], starts: &[i32], sums: &mut [i32]) {
        assert!(query.len() == self.lines && key.len() == self.lines);
        let mut all = [0; 16];
        // SAFETY: `new` has seen that the machine has the features.
        unsafe {
            match (self.lines, self.levels) {
                (4, 3) => dots::<4, 3>(query, key, &mut all),
                (4, 4) => dots::<4, 4>(query, key, &mut all),
                (8, 3) => dots::<8, 3>(query, key, &mut all),
                (8, 4) => dots::<8, 4>(query, key, &mut all),
                (12, 4) => dots::<12, 4>(query, key, &mut all),
                _ => dots::<16, 4>(query, key, &mut all),
            }
        }
        for ((sum, start), all) in sums.iter_mut().zip(starts).zip(all) {
            *sum = start + all;
        }
    }
}

/// # Safety
/// The machine has the features; `query` and `key` are of `LINES` lines, at most 16, and
/// `LINES * 16 >> LEVELS`, the number of heads, is at most 16.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn dots<const LINES: usize, const LEVELS: usize>(
    query: &[Line],
    key: &[Line],
    sums: &mut [i32; 16],
) {
    use std::arch::x86_64::*;
    let even = _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
    let odd = _mm512_set_epi32(31, 29, 27, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1);
    let mut all = [_mm512_setzero_si512(); LINES];
    for (i, sums) in all.iter_mut().enumerate() {
        // SAFETY: both have `LINES` lines, each a register.
        let (query, key) = unsafe {
            (
                _mm512_load_si512(query.as_ptr().add(i).cast()),
                _mm512_load_si512(key.as_ptr().add(i).cast()),
            )
        };
        *sums = _mm512_dpbusd_epi32(_mm512_setzero_si512(), key, query);
    }
    let mut count = LINES;
    for _ in 0..LEVELS {
        for i in 0..count.div_ceil(2) {
            let (a, b) = (all[2 * i], all[(2 * i + 1).min(count - 1)]);
            let (even, odd) =
                (_mm512_permutex2var_epi32(a, even, b), _mm512_permutex2var_epi32(a, odd, b));
            all[i] = _mm512_add_epi32(even, odd);
        }
        count = count.div_ceil(2);
    }
    // SAFETY: a register is 16 numbers.
    unsafe { _mm512_storeu_si512(sums.as_mut_ptr().cast(), all[0]) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn both_ways_give_the_same_bits(
            heads in 1usize..9,
            part in prop::sample::select(vec![8usize, 16, 24, 32, 64]),
            stride in 1usize..5,
            values in prop::collection::vec(-2f32..2.0, 2 * 8 * 64),
        ) {
            let (query, key) = (&values[..heads * part], &values[512..512 + heads * part]);
            let plain = Dots { wide: false, ..Dots::new(part) };
            let (mut a, mut b) = (vec![0.5; heads * stride], vec![0.5; heads * stride]);
            plain.each(query, key, &mut a, stride);
            Dots::new(part).each(query, key, &mut b, stride);
            prop_assert_eq!(a, b);
        }

        #[test]
        fn byte_scores_are_those_of_plain_loops_and_near_those_of_floats(
            shape in prop::sample::select(vec![
                (8usize, 32usize), (4, 64), (16, 32), (8, 64), (12, 64), (16, 64), (3, 20), (2, 8),
            ]),
            values in prop::collection::vec(-2f32..2.0, 8 * 1024),
        ) {
            let (heads, part) = shape;
            let width = heads * part;
            let mut memory = ByteMemory::new(heads, width);
            memory.extend(values[1024..].chunks_exact(2 * width).take(3));
            let (rows, stride) = ([2, 0, 1, 2, 1], 7);
            let mut query = ByteQuery::default();
            query.quantize(&values[..width], heads);
            let mut scores = vec![0.5; heads * stride];
            memory.scores(&mut query, &rows, &mut scores, stride);
            #[cfg(target_arch = "x86_64")]
            {
                let mut plain = ByteQuery { wide: None, ..query.clone() };
                let mut same = vec![0.5; heads * stride];
                memory.scores(&mut plain, &rows, &mut same, stride);
                prop_assert_eq!(&scores, &same);
            }
            let pair = |row: u32| &values[1024 + row as usize * 2 * width..][..2 * width];
            let weights: Vec<f32> = scores.iter().map(|score| 1.0 / (2.0 + score.abs())).collect();
            let mut mixed = vec![0.0; width];
            memory.mix(&rows, &mut weights.clone(), stride, &mut mixed);
            for head in 0..heads {
                let of = |x: &[f32]| x[head * part..][..part].to_vec();
                let mut exact = vec![0.0; part];
                for (k, &row) in rows.iter().enumerate() {
                    let (key, value) = pair(row).split_at(width);
                    let score = math::dot(&of(&values[..width]), &of(key));
                    let error = (scores[head * stride + k] - score).abs();
                    prop_assert!(error < 0.05 * (part as f32).sqrt(), "{error}");
                    math::add_scaled(&mut exact, weights[head * stride + k], &of(value));
                }
                for (mixed, exact) in of(&mixed).iter().zip(exact) {
                    prop_assert!((mixed - exact).abs() < 0.05, "{mixed} {exact}");
                }
            }
        }
    }
}
