//! Matrices of weights as layers are made from them.

use candle_core::{Device, Tensor};

use super::kernels::ByteTable;
use super::{Compute, with_values};
use crate::Result;

/// A matrix, `[rows, width]`; of a linear layer `[outputs, inputs]`, as PyTorch stores it.
#[derive(Debug, Clone)]
pub enum Table {
    /// In float32.
    Float32(Tensor),
    /// In eight bits.
    Int8(ByteTable),
}

impl Table {
    /// Rows and width.
    pub fn shape(&self) -> Result<(usize, usize)> {
        match self {
            Table::Float32(tensor) => Ok(tensor.dims2()?),
            Table::Int8(table) => Ok((table.rows(), table.width())),
        }
    }

    /// In the numbers that layers are computed with.
    pub fn converted(self, compute: Compute) -> Result<Self> {
        match (self, compute) {
            (Table::Float32(tensor), Compute::Int8) => {
                let width = tensor.dim(1)?;
                Ok(Table::Int8(with_values(&tensor, |x| ByteTable::quantize(x, width))??))
            }
            (Table::Int8(table), Compute::Float32) => {
                let shape = (table.rows(), table.width());
                Ok(Table::Float32(Tensor::from_vec(table.dequantized(), shape, &Device::Cpu)?))
            }
            (table, _) => Ok(table),
        }
    }

    /// One under the other; all of one width.
    pub fn stacked(parts: Vec<Table>, compute: Compute) -> Result<Self> {
        let (mut tensors, mut tables) = (Vec::new(), Vec::new());
        for part in parts {
            match part.converted(compute)? {
                Table::Float32(tensor) => tensors.push(tensor),
                Table::Int8(table) => tables.push(table),
            }
        }
        match compute {
            Compute::Float32 => Ok(Table::Float32(Tensor::cat(&tensors, 0)?)),
            Compute::Int8 => Ok(Table::Int8(ByteTable::stacked(tables)?)),
        }
    }
}
