//! The reference: what every other kernel must equal to the bit.

use super::{Line, PANEL};

/// See [`super::Kernel::tile`].
pub(super) fn tile(rows: &[Line], panel: &[Line], start: &[i32; PANEL], sums: &mut [[i32; PANEL]]) {
    let stride = rows.len() / sums.len().max(1);
    for (row, sums) in rows.chunks_exact(stride).zip(sums) {
        *sums = *start;
        let inputs = row.iter().flat_map(|line| line.0.as_chunks::<4>().0);
        for (x, weights) in inputs.zip(panel.chunks_exact(4)) {
            let weights = weights.iter().flat_map(|line| line.0.as_chunks::<4>().0);
            for (sum, w) in sums.iter_mut().zip(weights) {
                for (&x, &w) in x.iter().zip(w) {
                    *sum = sum.wrapping_add(i32::from(x) * i32::from(w as i8));
                }
            }
        }
    }
}
