//! Weight matrices: their place, orientation, and the meaning of their integers.

use std::ops::Range;

use super::stored::Stored;
use super::tensor::Tensor;
use crate::source::IntegerRows;

/// The stored axis along which scales and zero points vary.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Along {
    Nothing,
    Rows,
    Columns,
}

/// The meaning of integers: `(q - zero) * scale`.
#[derive(Debug, Clone, PartialEq)]
struct Meaning {
    scale: (Vec<f32>, Along),
    zero: (Vec<i16>, Along),
}

/// A constant with two axes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Matrix {
    stored: Stored,
    /// The stored columns of this matrix: a third of a packed matrix, otherwise all.
    columns: Range<usize>,
    transposed: bool,
    meaning: Option<Meaning>,
}

impl Matrix {
    /// A whole constant. `None` unless it has two axes and elements of a type that weights have.
    pub(super) fn new(stored: Stored) -> Option<Self> {
        let &[_, columns] = &stored.shape[..] else {
            return None;
        };
        let weight = stored.element.is_float() || stored.small_integers().is_some();
        weight.then_some(Matrix {
            columns: 0..columns,
            transposed: false,
            meaning: None,
            stored,
        })
    }

    /// Bytes that it holds.
    pub(super) fn bytes(&self) -> u64 {
        let meaning = self.meaning.as_ref();
        let count = meaning.map_or(0, |m| m.scale.0.len() + m.zero.0.len());
        (size_of::<Matrix>() + 4 * count) as u64 + self.stored.bytes()
    }

    /// Most bytes of [`Matrix::tensor`].
    pub(super) fn unpacked(&self) -> u64 {
        self.stored.unpacked()
    }

    /// Rows and columns.
    pub(super) fn shape(&self) -> [usize; 2] {
        let (rows, columns) = (self.stored.shape[0], self.columns.len());
        if self.transposed {
            [columns, rows]
        } else {
            [rows, columns]
        }
    }

    /// The transposed matrix.
    pub(super) fn transpose(mut self) -> Self {
        self.transposed = !self.transposed;
        self
    }

    /// Some columns of a matrix that is not transposed.
    pub(super) fn slice_columns(&self, range: Range<usize>) -> Result<Self, String> {
        let inside = self.columns.start + range.end <= self.columns.end && range.start <= range.end;
        if inside && !self.transposed {
            Ok(Matrix {
                columns: self.columns.start + range.start..self.columns.start + range.end,
                ..self.clone()
            })
        } else {
            Err(format!("columns {range:?} of {:?}", self.shape()))
        }
    }

    /// Whether its elements are integers without a meaning yet.
    pub(super) fn is_raw(&self) -> bool {
        self.meaning.is_none() && !self.stored.element.is_float()
    }

    /// Whether its elements are integers.
    pub(super) fn is_integer(&self) -> bool {
        !self.stored.element.is_float()
    }

    /// Reads the integers as numbers, as a cast does.
    pub(super) fn into_numbers(mut self) -> Self {
        if self.is_raw() {
            self.meaning = Some(Meaning {
                scale: (vec![1.0], Along::Nothing),
                zero: (vec![0], Along::Nothing),
            });
        }
        self
    }

    /// Integers with a scale and a zero point: one, one per index of `axis`, or in a shape that
    /// broadcasts against the matrix (then `axis` is `None`).
    pub(super) fn dequantized(
        self,
        scale: &Tensor,
        zero: Option<&Tensor>,
        axis: Option<usize>,
    ) -> Result<Self, String> {
        if !self.is_raw() {
            return Err("dequantises values that are not integers".into());
        }
        let mut matrix = self.into_numbers();
        if let Some(zero) = zero {
            let along = matrix.along(zero, axis)?;
            let zeros = zero.to_floats().iter().map(|&z| z as i16).collect();
            if let Some(meaning) = &mut matrix.meaning {
                meaning.zero = (zeros, along);
            }
        }
        matrix.scaled(scale, axis)
    }

    /// Integers that already have a meaning, times a scale.
    pub(super) fn scaled(mut self, scale: &Tensor, axis: Option<usize>) -> Result<Self, String> {
        let along = self.along(scale, axis)?;
        match &mut self.meaning {
            Some(meaning) if meaning.scale == (vec![1.0], Along::Nothing) => {
                meaning.scale = (scale.to_floats().to_vec(), along);
                Ok(self)
            }
            Some(_) => Err("scales a weight twice".into()),
            None => Err("scales a weight that is not integers".into()),
        }
    }

    /// The stored axis along which `values` vary.
    fn along(&self, values: &Tensor, axis: Option<usize>) -> Result<Along, String> {
        let wrong = || {
            format!(
                "scales or zero points of shape {:?} for {:?}",
                values.shape,
                self.shape()
            )
        };
        let logical = match (axis, &values.shape[..]) {
            _ if values.len() == 1 => return Ok(Along::Nothing),
            (Some(axis), [_]) => axis,
            (None, [_, 1]) => 0,
            (None, [1, _] | [_]) => 1,
            _ => return Err(wrong()),
        };
        match self.shape().get(logical) {
            Some(&len) if len == values.len() => (),
            _ => return Err(wrong()),
        }
        if (logical == 0) != self.transposed {
            Ok(Along::Rows)
        } else if self.columns.len() == self.stored.shape[1] {
            Ok(Along::Columns)
        } else {
            // Part of the columns would need part of the scales.
            Err(wrong())
        }
    }

    fn at<T: Copy>(values: &(Vec<T>, Along), row: usize, column: usize) -> T {
        match values.1 {
            Along::Nothing => values.0[0],
            Along::Rows => values.0[row],
            Along::Columns => values.0[column],
        }
    }

    /// The stored index of every element, row by row.
    fn places(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let [rows, columns] = self.shape();
        (0..rows).flat_map(move |i| {
            (0..columns).map(move |j| {
                if self.transposed {
                    (j, self.columns.start + i)
                } else {
                    (i, self.columns.start + j)
                }
            })
        })
    }

    /// The values, row by row.
    pub(super) fn values(&self) -> Vec<f32> {
        let width = self.stored.shape[1];
        let stored = self.stored.floats();
        let value = |(row, column): (usize, usize)| {
            let value = stored[row * width + column];
            match &self.meaning {
                Some(m) => {
                    (value - f32::from(Self::at(&m.zero, row, column)))
                        * Self::at(&m.scale, row, column)
                }
                None => value,
            }
        };
        self.places().map(value).collect()
    }

    /// The integers minus their zero points, if every row has one scale.
    pub(super) fn integers(&self) -> Option<IntegerRows> {
        let meaning = self.meaning.as_ref()?;
        let stored: Vec<i16> = self.stored.small_integers()?.collect();
        let width = self.stored.shape[1];
        let own = if self.transposed {
            Along::Columns
        } else {
            Along::Rows
        };
        if meaning.scale.1 != Along::Nothing && meaning.scale.1 != own {
            return None;
        }
        let value = |(row, column): (usize, usize)| {
            stored[row * width + column].saturating_sub(Self::at(&meaning.zero, row, column))
        };
        let scale = |i: usize| {
            if self.transposed {
                Self::at(&meaning.scale, 0, self.columns.start + i)
            } else {
                Self::at(&meaning.scale, i, 0)
            }
        };
        Some(IntegerRows {
            values: self.places().map(value).collect(),
            scales: (0..self.shape()[0]).map(scale).collect(),
        })
    }

    /// The constant itself, for computing. `None` for part of one.
    pub(super) fn tensor(&self) -> Option<Tensor> {
        let whole = self.columns.len() == self.stored.shape[1];
        if !whole || self.stored.len() > 1 << 24 {
            return None;
        }
        match (&self.meaning, self.transposed) {
            (None, false) => Some(self.stored.tensor()),
            _ if self.is_raw() => None,
            _ => Some(Tensor::floats(&self.shape(), self.values())),
        }
    }
}
