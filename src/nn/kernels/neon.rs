//! The kernel of AArch64 machines with the dot product instructions.

use std::arch::aarch64::*;
use std::arch::asm;

use super::{Line, PANEL};

/// # Safety
/// The machine has `dotprod`; lengths as [`super::Kernel::tile`] checks them, of one to four rows.
#[target_feature(enable = "neon,dotprod")]
pub(super) unsafe fn dot(rows: &[Line], panel: &[Line], sums: &mut [[i32; PANEL]]) {
    // SAFETY: the rows are as many as there are sums.
    unsafe {
        match sums.len() {
            1 => dot_rows::<1>(rows, panel, sums),
            2 => dot_rows::<2>(rows, panel, sums),
            3 => dot_rows::<3>(rows, panel, sums),
            4 => dot_rows::<4>(rows, panel, sums),
            _ => {}
        }
    }
}

/// # Safety
/// As [`dot`], of `R` rows.
#[target_feature(enable = "neon,dotprod")]
unsafe fn dot_rows<const R: usize>(rows: &[Line], panel: &[Line], sums: &mut [[i32; PANEL]]) {
    let stride = rows.len() / R;
    // Each line of a group holds the weights of 16 outputs, four registers of four.
    for column in 0..4 {
        // SAFETY: of each of the `R` sums these are 16 of 64 numbers; the loops read the lines of
        // the rows, and of the panel one in four, which are 16 for each line of a row.
        unsafe {
            let mut acc = [[vdupq_n_s32(0); 4]; R];
            for line in 0..stride {
                for quarter in 0..4 {
                    let mut x = [vdupq_n_s8(0); R];
                    for (r, x) in x.iter_mut().enumerate() {
                        let at = rows.as_ptr().add(r * stride + line).cast::<u8>();
                        // These factors are both signed: 128 less is another first bit.
                        let unsigned = veorq_u8(vld1q_u8(at.add(16 * quarter)), vdupq_n_u8(128));
                        *x = vreinterpretq_s8_u8(unsigned);
                    }
                    let group = panel.as_ptr().add(4 * (16 * line + 4 * quarter) + column);
                    four_inputs::<R, 0>(&mut acc, &x, group);
                    four_inputs::<R, 1>(&mut acc, &x, group.add(4));
                    four_inputs::<R, 2>(&mut acc, &x, group.add(8));
                    four_inputs::<R, 3>(&mut acc, &x, group.add(12));
                }
            }
            for (sums, row) in sums.iter_mut().zip(acc) {
                for (c, register) in row.into_iter().enumerate() {
                    vst1q_s32(sums.as_mut_ptr().add(16 * column + 4 * c), register);
                }
            }
        }
    }
}

/// Adds the inputs of one 32-bit lane of `x` times the weights of a line.
///
/// # Safety
/// The machine has `dotprod`; `line` can be read.
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn four_inputs<const R: usize, const LANE: u32>(
    acc: &mut [[int32x4_t; 4]; R],
    x: &[int8x16_t; R],
    line: *const Line,
) {
    for c in 0..4 {
        // SAFETY: a quarter of the line.
        let w = unsafe { vld1q_s8(line.cast::<i8>().add(16 * c)) };
        for (row, &x) in acc.iter_mut().zip(x) {
            // SAFETY: an instruction on registers, which the machine has. (Its intrinsic,
            // vdotq_laneq_s32, is not stable yet.)
            unsafe {
                asm!(
                    "sdot {sum:v}.4s, {w:v}.16b, {x:v}.4b[{lane}]",
                    sum = inout(vreg) row[c],
                    w = in(vreg) w,
                    x = in(vreg) x,
                    lane = const LANE,
                    options(pure, nomem, nostack, preserves_flags),
                );
            }
        }
    }
}
