//! Layers shared by the architectures, in float32 or with 8-bit products.
//!
//! Batches are ragged: the tokens of all sentences stand as `[rows, width]` in one slice, without
//! padding, so that no mask is needed and a sentence's numbers do not depend on its neighbours.

mod activation;
pub mod attention;
mod embedding;
pub mod kernels;
mod linear;
pub mod math;
mod norm;
mod output;
pub mod relative;
mod table;

pub use activation::Activation;
pub use embedding::Embedding;
pub use linear::{Epilogue, Linear, Workspace};
pub use norm::{LayerNorm, RmsNorm};
pub use output::{Output, Predicted};
pub use table::Table;

use candle_core::Tensor;

use crate::Result;

/// How products are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compute {
    /// In float32.
    Float32,
    /// By [`kernels`], of weights and activations in eight bits.
    Int8,
}

/// The float32 values of a CPU tensor, copied only if it is not contiguous.
pub(crate) fn with_values<R>(x: &Tensor, read: impl FnOnce(&[f32]) -> R) -> Result<R> {
    let x = x.contiguous()?;
    let (storage, layout) = x.storage_and_layout();
    let candle_core::Storage::Cpu(cpu) = &*storage else {
        return Err(candle_core::Error::Msg("a tensor left the CPU".into()).into());
    };
    let values = cpu.as_slice::<f32>()?;
    let start = layout.start_offset();
    Ok(read(&values[start..start + layout.shape().elem_count()]))
}
