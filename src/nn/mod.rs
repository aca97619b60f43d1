//! Layers shared by the architectures, in float32 on candle tensors.
//!
//! Batches are ragged: the tokens of all sentences stand in one `[rows, width]` tensor without
//! padding, so that no mask is needed and a sentence's numbers do not depend on its neighbours.

pub mod attention;
pub mod kernels;
pub mod math;

use candle_core::{Device, Tensor};
use serde::Deserialize;

use crate::Result;

/// `x · weightᵀ + bias` over the rows of `x`.
#[derive(Debug, Clone)]
pub struct Linear {
    /// `[in, out]`, a transposed view of what the checkpoint stores.
    weight: Tensor,
    /// `[out]`.
    bias: Option<Tensor>,
}

impl Linear {
    /// From a weight as PyTorch stores it, `[out, in]`.
    pub fn new(weight: Tensor, bias: Option<Tensor>) -> Result<Self> {
        Ok(Linear { weight: weight.t()?, bias })
    }

    /// `[rows, in]` to `[rows, out]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        // gemm takes other paths, adding in another order, for one row and for products of up to
        // 256 elements. More rows keep a sentence's numbers the same to the last bit in any batch.
        let rows = x.dim(0)?;
        let least = 2.max(257usize.div_ceil(self.weight.dim(1)?));
        let y = if rows < least {
            x.pad_with_zeros(0, 0, least - rows)?.matmul(&self.weight)?.narrow(0, 0, rows)?
        } else {
            x.matmul(&self.weight)?
        };
        Ok(match &self.bias {
            Some(bias) => y.broadcast_add(bias)?,
            None => y,
        })
    }
}

/// Layer normalization over the last dimension (Ba et al. 2016), with PyTorch's epsilon.
#[derive(Debug, Clone)]
pub struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
}

impl LayerNorm {
    /// Gain and bias, both `[width]`.
    pub fn new(weight: Tensor, bias: Tensor) -> Self {
        LayerNorm { weight, bias }
    }

    /// `[rows, width]` to the same.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(candle_nn::ops::layer_norm(&x.contiguous()?, &self.weight, &self.bias, 1e-5)?)
    }
}

/// The non-linearity of a feed-forward block, under the names of `config.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// `max(x, 0)`.
    Relu,
    /// `x · sigmoid(x)`.
    #[serde(alias = "silu")]
    Swish,
    /// The exact gelu, with the error function.
    Gelu,
    /// The gelu with tanh.
    #[serde(rename = "gelu_new", alias = "gelu_pytorch_tanh")]
    GeluNew,
}

impl Activation {
    /// Applied to every element.
    pub fn forward(self, x: &Tensor) -> Result<Tensor> {
        Ok(match self {
            Activation::Relu => x.relu()?,
            Activation::Swish => x.silu()?,
            Activation::Gelu => x.gelu_erf()?,
            Activation::GeluNew => x.gelu()?,
        })
    }
}

/// Token embeddings with sinusoidal positions added, as Marian has them (Vaswani et al. 2017,
/// sections 3.4 and 3.5; sines in the first half of the vector, cosines in the second).
#[derive(Debug, Clone)]
pub struct Embedding {
    /// `[vocabulary, width]`.
    tokens: Tensor,
    /// `[positions, width]`.
    positions: Tensor,
    scale: f64,
}

impl Embedding {
    /// From a table `[vocabulary, width]` whose rows are multiplied with `scale`, for as many
    /// positions.
    pub fn new(tokens: Tensor, scale: f64, positions: usize) -> Result<Self> {
        let positions = sinusoids(positions, tokens.dim(1)?)?;
        Ok(Embedding { tokens, positions, scale })
    }

    /// `[ids, width]`, of one position for each id.
    pub fn forward(&self, ids: &[u32], positions: Vec<u32>) -> Result<Tensor> {
        let tokens = self.tokens.index_select(&indices(ids.to_vec())?, 0)?;
        let positions = self.positions.index_select(&indices(positions)?, 0)?;
        Ok(((tokens * self.scale)? + positions)?)
    }
}

fn indices(ids: Vec<u32>) -> Result<Tensor> {
    let count = ids.len();
    Ok(Tensor::from_vec(ids, count, &Device::Cpu)?)
}

/// `[positions, width]`.
fn sinusoids(positions: usize, width: usize) -> Result<Tensor> {
    let half = width.div_ceil(2);
    let mut table = vec![0f32; positions * width];
    for (position, row) in table.chunks_exact_mut(width.max(1)).enumerate() {
        for (i, value) in row.iter_mut().enumerate() {
            let j = if i < half { i } else { i - half };
            let angle = position as f64 / 10000f64.powf(2.0 * j as f64 / width as f64);
            *value = if i < half { angle.sin() } else { angle.cos() } as f32;
        }
    }
    Ok(Tensor::from_vec(table, (positions, width), &Device::Cpu)?)
}

/// The float32 values of a contiguous CPU tensor, without copying.
pub(crate) fn with_rows<R>(x: &Tensor, read: impl FnOnce(&[f32]) -> R) -> Result<R> {
    let x = x.contiguous()?;
    let (storage, layout) = x.storage_and_layout();
    let candle_core::Storage::Cpu(cpu) = &*storage else {
        return Err(candle_core::Error::Msg("a tensor left the CPU".into()).into());
    };
    let values = cpu.as_slice::<f32>()?;
    let start = layout.start_offset();
    Ok(read(&values[start..start + layout.shape().elem_count()]))
}
