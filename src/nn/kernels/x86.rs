//! The kernels of x86-64. Each takes the slices that [`Kernel::tile`] checked.

use std::arch::x86_64::*;

use super::{Kernel, Line, PANEL};

pub(super) fn is_available(kernel: Kernel) -> bool {
    let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    match kernel {
        Kernel::Avx512Vnni => {
            avx2 && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512vnni")
        }
        Kernel::AvxVnni => avx2 && is_x86_feature_detected!("avxvnni"),
        Kernel::Avx2 => avx2,
        _ => false,
    }
}

#[target_feature(enable = "avx2,avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) fn run_avx512<R>(body: impl FnOnce() -> R) -> R {
    body()
}

#[target_feature(enable = "avx2")]
pub(super) fn run_avx2<R>(body: impl FnOnce() -> R) -> R {
    body()
}

/// Calls a kernel for as many rows as there are sums; each number of rows goes with a number of lines
/// of the panel that are worked on side by side.
macro_rules! for_rows {
    ($kernel:ident, $sums:expr, $arguments:tt, [$($rows:literal x $lines:literal),*]) => {
        match $sums.len() {
            $($rows => for_rows!(@call $kernel, $rows, $lines, $arguments),)*
            _ => {}
        }
    };
    (@call $kernel:ident, $rows:literal, $lines:literal, ($($argument:expr),*)) => {
        // SAFETY: the caller's features are the callee's; the rows are as many as there are sums.
        unsafe { $kernel::<$rows, $lines>($($argument),*) }
    };
}

/// Fetches a share of `next` from memory, in the given one of so many steps.
#[inline(always)]
fn fetch(next: &[Line], step: usize, steps: usize) {
    let lines = next.len().div_ceil(steps);
    for line in 0..lines {
        let line = next.as_ptr().wrapping_add(step * lines + line);
        // SAFETY: a hint, of which no address is wrong.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.cast()) };
    }
}

/// Four inputs of a row, as they stand.
///
/// # Safety
/// `group` is less than a quarter of the row's bytes.
#[inline(always)]
unsafe fn inputs(row: *const Line, group: usize) -> i32 {
    // SAFETY: within the row by the caller's promise; i32 needs no alignment beyond that of a
    // quarter of a line.
    unsafe { row.cast::<i32>().add(group).read() }
}

/// # Safety
/// The machine has the features; lengths as [`Kernel::tile`] checks them, of one to six rows.
#[target_feature(enable = "avx512f,avx512vnni")]
pub(super) unsafe fn avx512_vnni(
    rows: &[Line],
    panel: &[Line],
    start: &[i32; PANEL],
    sums: &mut [[i32; PANEL]],
    next: &[Line],
) {
    for_rows!(avx512_vnni_rows, sums, (rows, panel, start, sums, next), [1 x 4, 2 x 4, 3 x 4, 4 x 4, 5 x 4, 6 x 4]);
}

/// # Safety
/// As [`avx512_vnni`], of `R` rows.
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn avx512_vnni_rows<const R: usize, const LINES: usize>(
    rows: &[Line],
    panel: &[Line],
    start: &[i32; PANEL],
    sums: &mut [[i32; PANEL]],
    next: &[Line],
) {
    let stride = rows.len() / R;
    let groups = panel.len() / 4;
    // SAFETY: `start` and each of the `R` sums are four registers of 16 numbers; the loop reads
    // `groups` times four inputs of each row and four lines of the panel, which is all of both;
    // prefetching touches no memory that could be missing.
    unsafe {
        let mut acc = [[_mm512_setzero_si512(); LINES]; R];
        for row in acc.iter_mut() {
            for (c, register) in row.iter_mut().enumerate() {
                *register = _mm512_loadu_si512(start.as_ptr().add(16 * c).cast());
            }
        }
        let x = rows.as_ptr();
        for group in 0..groups {
            fetch(next, group, groups);
            let mut w = [_mm512_setzero_si512(); LINES];
            for (c, w) in w.iter_mut().enumerate() {
                *w = _mm512_load_si512(panel.as_ptr().add(LINES * group + c).cast());
            }
            for (r, row) in acc.iter_mut().enumerate() {
                let x = _mm512_set1_epi32(inputs(x.add(r * stride), group));
                for (register, w) in row.iter_mut().zip(w) {
                    *register = _mm512_dpbusd_epi32(*register, x, w);
                }
            }
        }
        for (sums, row) in sums.iter_mut().zip(acc) {
            for (c, register) in row.into_iter().enumerate() {
                _mm512_storeu_si512(sums.as_mut_ptr().add(16 * c).cast(), register);
            }
        }
    }
}

/// Defines a kernel of 256 bits: its name, that for a given number of rows, its features, the numbers
/// of rows there are, what the sums start from, and the sums after four more inputs.
macro_rules! kernel_256 {
    (
        $name:ident, $name_rows:ident, $features:literal, $rows:tt, $first:expr,
        |$sum:ident, $x:ident, $w:ident| $step:expr
    ) => {
        /// # Safety
        /// The machine has the features; lengths as [`Kernel::tile`] checks them.
        #[target_feature(enable = $features)]
        pub(super) unsafe fn $name(
            rows: &[Line],
            panel: &[Line],
            start: &[i32; PANEL],
            sums: &mut [[i32; PANEL]],
            next: &[Line],
        ) {
            for_rows!($name_rows, sums, (rows, panel, start, sums, next), $rows);
        }

        /// # Safety
        /// As without `_rows`, of `R` rows; `LINES` divides four.
        #[target_feature(enable = $features)]
        unsafe fn $name_rows<const R: usize, const LINES: usize>(
            rows: &[Line],
            panel: &[Line],
            start: &[i32; PANEL],
            sums: &mut [[i32; PANEL]],
            next: &[Line],
        ) {
            let stride = rows.len() / R;
            let groups = panel.len() / 4;
            // Each line of a group holds the weights of 16 outputs, two registers of eight.
            for pass in 0..4 / LINES {
                let column = pass * LINES;
                // SAFETY: of `start` and each of the `R` sums these are 16 · `LINES` of 64 numbers;
                // the loop reads `groups` times four inputs of each row and `LINES` of four lines
                // of the panel, which is all of the rows and within the panel.
                unsafe {
                    let start = start.as_ptr().add(16 * column);
                    let mut acc = [[[_mm256_setzero_si256(); 2]; LINES]; R];
                    for row in acc.iter_mut() {
                        for (c, pair) in row.iter_mut().enumerate() {
                            let start: *const __m256i = start.add(16 * c).cast();
                            *pair = [$first(start), $first(start.add(1))];
                        }
                    }
                    for group in 0..groups {
                        fetch(next, pass * groups + group, groups * (4 / LINES));
                        let mut w = [[_mm256_setzero_si256(); 2]; LINES];
                        for (c, pair) in w.iter_mut().enumerate() {
                            let line = panel.as_ptr().add(4 * group + column + c);
                            let line: *const __m256i = line.cast();
                            *pair = [_mm256_load_si256(line), _mm256_load_si256(line.add(1))];
                        }
                        for (r, row) in acc.iter_mut().enumerate() {
                            let $x = inputs(rows.as_ptr().add(r * stride), group);
                            let $x = _mm256_set1_epi32($x);
                            for (pair, w) in row.iter_mut().zip(w) {
                                for ($sum, $w) in pair.iter_mut().zip(w) {
                                    *$sum = $step;
                                }
                            }
                        }
                    }
                    for (sums, row) in sums.iter_mut().zip(acc) {
                        let to: *mut __m256i = sums.as_mut_ptr().add(16 * column).cast();
                        for (c, pair) in row.into_iter().enumerate() {
                            _mm256_storeu_si256(to.add(2 * c), pair[0]);
                            _mm256_storeu_si256(to.add(2 * c + 1), pair[1]);
                        }
                    }
                }
            }
        }
    };
}

kernel_256!(
    avx_vnni,
    avx_vnni_rows,
    "avx2,avxvnni",
    [1 x 4, 2 x 2, 3 x 1, 4 x 1, 5 x 1, 6 x 1],
    |start| _mm256_loadu_si256(start),
    |sum, x, w| _mm256_dpbusd_avx_epi32(*sum, x, w)
);

// vpmaddubsw adds two products in 16 bits, which only holds if both factors are below 128: so with
// the magnitude of the activation, and its sign given to the weight. No 128 was added then, and
// nothing is to be made up for.
kernel_256!(
    avx2,
    avx2_rows,
    "avx2",
    [1 x 4, 2 x 2, 3 x 1, 4 x 1],
    |_: *const __m256i| _mm256_setzero_si256(),
    |sum, x, w| {
        let x = _mm256_xor_si256(x, _mm256_set1_epi8(-128));
        let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(x), _mm256_sign_epi8(w, x));
        _mm256_add_epi32(*sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
    }
);
