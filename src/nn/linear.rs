//! Linear layers, in float32 or eight bits.

use candle_core::{Device, Tensor};

use super::kernels::{Kernel, Matrix, PackedMatrix, Quantized};
use super::{Activation, Compute, math, with_values};
use crate::Result;

/// What becomes of the results of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Epilogue {
    /// They are written.
    Store,
    /// They are added to what is there.
    Add,
    /// The activation is applied to them first.
    Activate(Activation),
}

/// `x · weightᵀ + bias` over rows.
#[derive(Debug, Clone)]
pub struct Linear {
    inputs: usize,
    outputs: usize,
    weights: Weights,
}

#[derive(Debug, Clone)]
enum Weights {
    Float32 {
        /// `[inputs, outputs]`, a transposed view of what the checkpoint stores.
        matrix: Tensor,
        bias: Option<Vec<f32>>,
    },
    Int8(PackedMatrix),
}

/// Memory that linear layers use again and again.
#[derive(Debug)]
pub struct Workspace {
    quantized: Option<Quantized>,
}

impl Workspace {
    /// For layers computed so.
    pub fn new(compute: Compute) -> Result<Self> {
        let quantized = match compute {
            Compute::Float32 => None,
            Compute::Int8 => Some(Quantized::new(Kernel::select()?)),
        };
        Ok(Workspace { quantized })
    }

    /// The rows of `x`, `[rows, inputs]`, in eight bits.
    pub(super) fn quantize(&mut self, x: &[f32], inputs: usize) -> Result<&mut Quantized> {
        let quantized = self.quantized.as_mut().ok_or_else(mixed)?;
        quantized.quantize(x, inputs);
        Ok(quantized)
    }
}

fn mixed() -> crate::Error {
    candle_core::Error::Msg("8-bit weights in a float32 workspace".into()).into()
}

impl Linear {
    /// From a weight as PyTorch stores it, `[outputs, inputs]`, and a bias, `[outputs]`.
    pub fn new(weight: &Tensor, bias: Option<&Tensor>, compute: Compute) -> Result<Self> {
        let (outputs, inputs) = weight.dims2()?;
        let bias = bias.map(|bias| with_values(bias, <[f32]>::to_vec)).transpose()?;
        let weights = match compute {
            Compute::Float32 => Weights::Float32 { matrix: weight.t()?, bias },
            Compute::Int8 => {
                let kernel = Kernel::select()?;
                let packed =
                    with_values(weight, |w| PackedMatrix::new(kernel, w, bias.as_deref(), inputs));
                Weights::Int8(packed??)
            }
        };
        Ok(Linear { inputs, outputs, weights })
    }

    /// Several layers of the same input as one, their outputs side by side.
    pub fn stacked(parts: &[(Tensor, Tensor)], compute: Compute) -> Result<Self> {
        let (weights, biases): (Vec<&Tensor>, Vec<&Tensor>) =
            parts.iter().map(|(weight, bias)| (weight, bias)).unzip();
        Self::new(&Tensor::cat(&weights, 0)?, Some(&Tensor::cat(&biases, 0)?), compute)
    }

    /// Width of the result.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// `[rows, inputs]` to `[rows, outputs]`. With [`Epilogue::Add`], `out` holds what is added to;
    /// else it is resized.
    pub fn forward(
        &self,
        x: &[f32],
        epilogue: Epilogue,
        workspace: &mut Workspace,
        out: &mut Vec<f32>,
    ) -> Result<()> {
        let rows = x.len() / self.inputs;
        if epilogue != Epilogue::Add {
            out.resize(rows * self.outputs, 0.0);
        }
        match &self.weights {
            Weights::Int8(matrix) => {
                matrix.matmul(workspace.quantize(x, self.inputs)?, epilogue, out);
                Ok(())
            }
            Weights::Float32 { matrix, bias } => {
                // gemm takes other paths, adding in another order, for one row and for products of
                // up to 256 elements. More rows keep a row's numbers the same in any batch.
                let least = rows.max(2).max(257usize.div_ceil(self.outputs));
                let mut padded = x.to_vec();
                padded.resize(least * self.inputs, 0.0);
                let x = Tensor::from_vec(padded, (least, self.inputs), &Device::Cpu)?;
                with_values(&x.matmul(matrix)?, |y| {
                    finish(&y[..rows * self.outputs], bias.as_deref(), epilogue, out);
                })
            }
        }
    }
}

/// Puts products into `out`, as the epilogue says.
fn finish(y: &[f32], bias: Option<&[f32]>, epilogue: Epilogue, out: &mut [f32]) {
    math::vectorized(
        #[inline(always)]
        || {
            match epilogue {
                Epilogue::Add => out.iter_mut().zip(y).for_each(|(out, y)| *out += y),
                Epilogue::Store | Epilogue::Activate(_) => out.copy_from_slice(y),
            }
            if let Some(bias) = bias {
                for row in out.chunks_exact_mut(bias.len()) {
                    row.iter_mut().zip(bias).for_each(|(out, bias)| *out += bias);
                }
            }
            if let Epilogue::Activate(activation) = epilogue {
                activation.apply(out);
            }
        },
    );
}
