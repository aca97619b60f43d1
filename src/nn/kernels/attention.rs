//! The scores of an attention: as many short inner products as there are heads, for every key.

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
    }
}
