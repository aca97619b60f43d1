//! What the matrices of either number format share.

use std::ops::Range;

use super::{Kernel, MAX_TILE_ROWS, PANEL};
use crate::nn::Epilogue;
use crate::{Error, Result};

/// A linear layer whose weights stand in panels of [`PANEL`] outputs.
pub trait Matrix {
    /// Rows of activations.
    type Rows: ?Sized;

    /// From weights as PyTorch stores them, `[outputs, inputs]`, and a bias, `[outputs]`; `padding`
    /// is the bias of the outputs that fill the last panel up.
    fn padded(
        kernel: Kernel,
        weights: &[f32],
        bias: Option<&[f32]>,
        inputs: usize,
        padding: f32,
    ) -> Result<Self>
    where
        Self: Sized;

    /// From weights as PyTorch stores them, `[outputs, inputs]`, and a bias, `[outputs]`.
    fn new(kernel: Kernel, weights: &[f32], bias: Option<&[f32]>, inputs: usize) -> Result<Self>
    where
        Self: Sized,
    {
        Self::padded(kernel, weights, bias, inputs, 0.0)
    }

    /// The kernel that computes the products.
    fn kernel(&self) -> Kernel;

    /// Width of `x`.
    fn inputs(&self) -> usize;

    /// Width of the result.
    fn outputs(&self) -> usize;

    /// How many rows there are.
    fn rows(&self, x: &Self::Rows) -> usize;

    /// Calls `each` with a panel's number, a row's, and the results of the one for the other: panel
    /// by panel, so that weights are read once and stay in the cache for all rows.
    ///
    /// A row's results do not depend on which other rows there are.
    fn for_each_panel(
        &self,
        x: &Self::Rows,
        rows: Range<usize>,
        each: impl FnMut(usize, usize, [f32; PANEL]),
    );

    /// A single result of a row, equal to that of [`Self::for_each_panel`].
    fn one(&self, x: &Self::Rows, row: usize, output: usize) -> f32;

    /// `x · weightsᵀ + bias`, `[rows, inputs]` to `[rows, outputs]`.
    fn matmul(&self, x: &Self::Rows, epilogue: Epilogue, out: &mut [f32]) {
        let (rows, outputs) = (self.rows(x), self.outputs());
        assert_eq!(out.len(), rows * outputs);
        self.kernel().run(
            #[inline(always)]
            || {
                self.for_each_panel(
                    x,
                    0..rows,
                    #[inline(always)]
                    |p, row, mut y| {
                        if let Epilogue::Activate(activation) = epilogue {
                            activation.apply(&mut y);
                        }
                        let first = row * outputs + p * PANEL;
                        let width = PANEL.min(outputs - p * PANEL);
                        let out = &mut out[first..first + width];
                        if epilogue == Epilogue::Add {
                            out.iter_mut().zip(y).for_each(|(out, y)| *out += y);
                        } else if let Ok(out) = <&mut [f32; PANEL]>::try_from(&mut *out) {
                            *out = y;
                        } else {
                            out.copy_from_slice(&y[..width]);
                        }
                    },
                );
            },
        );
    }
}

/// Number of outputs, if the shapes go together.
pub(super) fn check(
    kernel: Kernel,
    weights: usize,
    bias: Option<&[f32]>,
    inputs: usize,
    most_inputs: usize,
) -> Result<usize> {
    assert!(kernel.is_available(), "{kernel:?} on a machine without it");
    let refuse = |what: String| Err(Error::Compute(candle_core::Error::Msg(what)));
    if inputs == 0 || inputs > most_inputs || !weights.is_multiple_of(inputs) {
        return refuse(format!("{weights} weights in rows of {inputs}"));
    }
    let outputs = weights / inputs;
    match bias {
        Some(bias) if bias.len() != outputs => {
            refuse(format!("{} biases for {outputs} outputs", bias.len()))
        }
        _ => Ok(outputs),
    }
}

/// The bias of panel `p` of `outputs` outputs.
pub(super) fn panel_bias(
    p: usize,
    bias: Option<&[f32]>,
    outputs: usize,
    padding: f32,
) -> [f32; PANEL] {
    std::array::from_fn(|n| {
        let n = p * PANEL + n;
        if n < outputs { bias.map_or(0.0, |bias| bias[n]) } else { padding }
    })
}

/// The rows of each tile: as equal as can be, for many small tiles are no faster than few large
/// ones.
#[derive(Clone)]
pub(super) struct Tiles {
    rows: Range<usize>,
    count: usize,
    block: usize,
}

impl Tiles {
    /// Of at most `most` rows each, and whole blocks of `block` rows but for the last.
    #[inline(always)]
    pub fn new(rows: Range<usize>, most: usize, block: usize) -> Self {
        debug_assert!(most <= MAX_TILE_ROWS && most.is_multiple_of(block));
        let count = rows.len().div_ceil(most);
        Tiles { rows, count, block }
    }

    /// Each tile's rows, and its share of `next`, which it fetches from memory.
    #[inline(always)]
    pub fn with<'a, T>(&self, next: &'a [T]) -> impl Iterator<Item = (Range<usize>, &'a [T])> {
        let (rows, count, block) = (self.rows.clone(), self.count, self.block);
        let bound = move |tile: usize| {
            let rounded = (tile * rows.len() / count).next_multiple_of(block);
            rows.start + rounded.min(rows.len())
        };
        (0..count).map(move |tile| {
            let share = next.len() * tile / count..next.len() * (tile + 1) / count;
            (bound(tile)..bound(tile + 1), &next[share])
        })
    }
}
