//! Linear layers, in float32 or eight bits.

use candle_core::Tensor;

use super::kernels::{FloatMatrix, Kernel, Matrix, PackedMatrix, Quantized};
use super::{Activation, Compute, Table, with_values};
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
    Float32(FloatMatrix),
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
    /// From a weight, `[outputs, inputs]`, and a bias, `[outputs]`.
    pub fn new(weight: Table, bias: Option<&Tensor>, compute: Compute) -> Result<Self> {
        let (outputs, inputs) = weight.shape()?;
        let bias = bias.map(|bias| with_values(bias, <[f32]>::to_vec)).transpose()?;
        let (kernel, bias) = (Kernel::select()?, bias.as_deref());
        let weights = match weight.converted(compute)? {
            Table::Float32(weight) => Weights::Float32(with_values(&weight, |weight| {
                FloatMatrix::new(kernel, weight, bias, inputs)
            })??),
            Table::Int8(table) => {
                Weights::Int8(PackedMatrix::from_table(kernel, &table, bias, 0.0)?)
            }
        };
        Ok(Linear { inputs, outputs, weights })
    }

    /// Several layers of the same input as one, their outputs side by side.
    pub fn stacked(parts: Vec<(Table, Tensor)>, compute: Compute) -> Result<Self> {
        let (weights, biases): (Vec<Table>, Vec<Tensor>) = parts.into_iter().unzip();
        Self::new(Table::stacked(weights, compute)?, Some(&Tensor::cat(&biases, 0)?), compute)
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
            Weights::Float32(matrix) => matrix.matmul(x, epilogue, out),
            Weights::Int8(matrix) => {
                matrix.matmul(workspace.quantize(x, self.inputs)?, epilogue, out);
            }
        }
        Ok(())
    }
}
