//! Weight matrices: where they lie, which way round, and how their integers are meant.

use std::ops::Range;

use super::stored::Stored;
use super::tensor::Tensor;
use crate::source::IntegerRows;

/// Along which of the stored axes scales and zero points change.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Along {
    Nothing,
    Rows,
    Columns,
}

/// What integers stand for: `(q - zero) * scale`.
#[derive(Debug, Clone, PartialEq)]
struct Meaning {
    scale: (Vec<f32>, Along),
    zero: (Vec<i16>, Along),
}

/// A constant with two axes.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    stored: Stored,
    /// The stored columns that belong to it: a third of a packed matrix, else all.
    columns: Range<usize>,
    transposed: bool,
    meaning: Option<Meaning>,
}

impl Matrix {
    /// A constant as it lies; `None` where it has not two axes, or elements that no weight has.
    pub fn new(stored: Stored) -> Option<Self> {
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

    /// Rows and columns.
    pub fn shape(&self) -> [usize; 2] {
        let (rows, columns) = (self.stored.shape[0], self.columns.len());
        match self.transposed {
            true => [columns, rows],
            false => [rows, columns],
        }
    }

    /// Rows and columns exchanged.
    pub fn transpose(mut self) -> Self {
        self.transposed = !self.transposed;
        self
    }

    /// Some of the columns of a matrix that is not transposed.
    pub fn slice_columns(&self, range: Range<usize>) -> Result<Self, String> {
        let inside = self.columns.start + range.end <= self.columns.end && range.start <= range.end;
        match inside && !self.transposed {
            true => Ok(Matrix {
                columns: self.columns.start + range.start..self.columns.start + range.end,
                ..self.clone()
            }),
            false => Err(format!("columns {range:?} of {:?}", self.shape())),
        }
    }

    /// Whether its elements are integers whose meaning is not known yet.
    pub fn is_raw(&self) -> bool {
        self.meaning.is_none() && !self.stored.element.is_float()
    }

    /// Whether its elements are integers.
    pub fn is_integer(&self) -> bool {
        !self.stored.element.is_float()
    }

    /// Integers taken for numbers, as a cast does.
    pub fn into_numbers(mut self) -> Self {
        if self.is_raw() {
            self.meaning = Some(Meaning {
                scale: (vec![1.0], Along::Nothing),
                zero: (vec![0], Along::Nothing),
            });
        }
        self
    }

    /// Integers with a scale and a zero point: one, one for each along `axis`, or in a shape that
    /// broadcasts against the matrix (then `axis` is `None`).
    pub fn dequantized(
        self,
        scale: &Tensor,
        zero: Option<&Tensor>,
        axis: Option<usize>,
    ) -> Result<Self, String> {
        if !self.is_raw() {
            return Err("dequantises what holds no integers".into());
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

    /// Integers that already stand for numbers, times a scale.
    pub fn scaled(mut self, scale: &Tensor, axis: Option<usize>) -> Result<Self, String> {
        let along = self.along(scale, axis)?;
        match &mut self.meaning {
            Some(meaning) if meaning.scale == (vec![1.0], Along::Nothing) => {
                meaning.scale = (scale.to_floats().to_vec(), along);
                Ok(self)
            }
            Some(_) => Err("scales a weight twice".into()),
            None => Err("scales a weight that holds no integers".into()),
        }
    }

    /// The stored axis that `values` go along.
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
        match (logical == 0) != self.transposed {
            true => Ok(Along::Rows),
            // A part of the columns would need a part of the scales.
            false if self.columns.len() == self.stored.shape[1] => Ok(Along::Columns),
            false => Err(wrong()),
        }
    }

    fn at<T: Copy>(values: &(Vec<T>, Along), row: usize, column: usize) -> T {
        match values.1 {
            Along::Nothing => values.0[0],
            Along::Rows => values.0[row],
            Along::Columns => values.0[column],
        }
    }

    /// The stored place of every element, row by row.
    fn places(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let [rows, columns] = self.shape();
        (0..rows).flat_map(move |i| {
            (0..columns).map(move |j| match self.transposed {
                true => (j, self.columns.start + i),
                false => (i, self.columns.start + j),
            })
        })
    }

    /// The values, row by row.
    pub fn values(&self) -> Vec<f32> {
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

    /// The integers without their zero points, where every row has one scale.
    pub fn integers(&self) -> Option<IntegerRows> {
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
        let scale = |i: usize| match self.transposed {
            true => Self::at(&meaning.scale, 0, self.columns.start + i),
            false => Self::at(&meaning.scale, i, 0),
        };
        Some(IntegerRows {
            values: self.places().map(value).collect(),
            scales: (0..self.shape()[0]).map(scale).collect(),
        })
    }

    /// The constant itself, to compute with; `None` for a part of one.
    pub fn tensor(&self) -> Option<Tensor> {
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
