//! Values for computing: a shape and the elements, row-major.

use std::sync::Arc;

/// Most elements of a tensor that is larger than those it is computed from: the scores of two texts
/// of 512 tokens with 16 heads.
const MAX_ELEMENTS: usize = 1 << 23;

/// Elements. Booleans and all integers except the 8-bit ones are `I64`, all floats `F32`.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Data {
    F32(Arc<[f32]>),
    I64(Arc<[i64]>),
    I8(Arc<[i8]>),
    U8(Arc<[u8]>),
}

impl Data {
    fn len(&self) -> usize {
        match self {
            Data::F32(v) => v.len(),
            Data::I64(v) => v.len(),
            Data::I8(v) => v.len(),
            Data::U8(v) => v.len(),
        }
    }
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tensor {
    pub shape: Vec<usize>,
    pub data: Data,
}

impl Tensor {
    /// Floats of a shape.
    pub(super) fn floats(shape: &[usize], values: Vec<f32>) -> Self {
        Tensor {
            shape: shape.to_vec(),
            data: Data::F32(values.into()),
        }
    }

    /// Integers (or booleans) of a shape.
    pub(super) fn ints(shape: &[usize], values: Vec<i64>) -> Self {
        Tensor {
            shape: shape.to_vec(),
            data: Data::I64(values.into()),
        }
    }

    /// Number of elements.
    pub(super) fn len(&self) -> usize {
        self.data.len()
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> u64 {
        let size = match &self.data {
            Data::F32(_) => 4,
            Data::I64(_) => 8,
            Data::I8(_) | Data::U8(_) => 1,
        };
        // Of an empty tensor, its shape.
        self.len() as u64 * size + 64
    }

    /// The elements as floats.
    pub(super) fn to_floats(&self) -> Arc<[f32]> {
        match &self.data {
            Data::F32(v) => v.clone(),
            Data::I64(v) => v.iter().map(|&x| x as f32).collect(),
            Data::I8(v) => v.iter().map(|&x| f32::from(x)).collect(),
            Data::U8(v) => v.iter().map(|&x| f32::from(x)).collect(),
        }
    }

    /// The elements as integers. An error for floats.
    pub(super) fn to_ints(&self) -> Result<Arc<[i64]>, String> {
        match &self.data {
            Data::F32(_) => Err("floats instead of integers".into()),
            Data::I64(v) => Ok(v.clone()),
            Data::I8(v) => Ok(v.iter().map(|&x| i64::from(x)).collect()),
            Data::U8(v) => Ok(v.iter().map(|&x| i64::from(x)).collect()),
        }
    }

    /// Whether the elements are floats.
    pub(super) fn is_float(&self) -> bool {
        matches!(self.data, Data::F32(_))
    }

    /// The only element, as a float.
    pub(super) fn scalar(&self) -> Option<f32> {
        (self.len() == 1).then(|| self.to_floats()[0])
    }

    /// The same elements with another shape.
    pub(super) fn with_shape(&self, shape: &[usize]) -> Result<Tensor, String> {
        let len = shape.iter().try_fold(1usize, |n, &dim| n.checked_mul(dim));
        if len == Some(self.len()) {
            Ok(Tensor {
                shape: shape.to_vec(),
                data: self.data.clone(),
            })
        } else {
            Err(format!("{:?} does not reshape to {shape:?}", self.shape))
        }
    }

    /// A tensor of `shape` whose elements come from these indices.
    pub(super) fn gather(&self, shape: Vec<usize>, places: impl Iterator<Item = usize>) -> Tensor {
        fn pick<T: Copy>(
            values: &[T],
            places: impl Iterator<Item = usize>,
            count: usize,
        ) -> Arc<[T]> {
            let mut picked = Vec::with_capacity(count);
            picked.extend(places.map(|place| values[place]));
            picked.into()
        }
        let count = shape.iter().product();
        let data = match &self.data {
            Data::F32(v) => Data::F32(pick(v, places, count)),
            Data::I64(v) => Data::I64(pick(v, places, count)),
            Data::I8(v) => Data::I8(pick(v, places, count)),
            Data::U8(v) => Data::U8(pick(v, places, count)),
        };
        Tensor { shape, data }
    }
}

/// Number of elements of a shape, within the limit.
pub(super) fn elements(shape: &[usize]) -> Result<usize, String> {
    elements_within(shape, MAX_ELEMENTS)
}

fn elements_within(shape: &[usize], limit: usize) -> Result<usize, String> {
    // Without this, an empty axis would hide that others are too long.
    let product = shape
        .iter()
        .try_fold(1usize, |n, &dim| n.checked_mul(dim.max(1)));
    match product {
        Some(n) if n <= limit => Ok(if shape.contains(&0) { 0 } else { n }),
        _ => Err(format!("a tensor of shape {shape:?} is too large")),
    }
}

/// The shape that two shapes broadcast to.
pub(super) fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>, String> {
    let rank = a.len().max(b.len());
    let at = |shape: &[usize], i: usize| match (i + shape.len()).checked_sub(rank) {
        Some(i) => shape[i],
        None => 1,
    };
    let mut out = Vec::with_capacity(rank);
    for i in 0..rank {
        out.push(match (at(a, i), at(b, i)) {
            (x, y) if x == y => x,
            (1, y) => y,
            (x, 1) => x,
            _ => return Err(format!("{a:?} and {b:?} do not broadcast")),
        });
    }
    let product = |shape: &[usize]| shape.iter().fold(1usize, |n, &dim| n.saturating_mul(dim));
    let largest = product(a).max(product(b));
    elements_within(&out, largest.max(MAX_ELEMENTS))?;
    Ok(out)
}

/// For every element of `out`, the index in a tensor of `shape`, which broadcasts to it.
pub(super) fn broadcast_places(shape: &[usize], out: &[usize]) -> Walk {
    let lead = out.len() - shape.len();
    let own = strides(shape);
    let mut steps = vec![0; out.len()];
    for (i, (&dim, &stride)) in shape.iter().zip(&own).enumerate() {
        if dim != 1 {
            steps[lead + i] = stride;
        }
    }
    walk(out, 0, &steps)
}

/// Indices of a walk through a tensor: for every element of `shape`, `start` plus the sum of its
/// indices times `steps`.
pub(super) fn walk(shape: &[usize], start: usize, steps: &[usize]) -> Walk {
    Walk {
        left: shape.iter().product(),
        place: start,
        index: vec![0; shape.len()],
        axes: shape.iter().copied().zip(steps.iter().copied()).collect(),
    }
}

/// The indices of [`walk`]. They are not stored, because they would take more than the elements.
pub(super) struct Walk {
    left: usize,
    place: usize,
    index: Vec<usize>,
    /// Length and step of each axis.
    axes: Vec<(usize, usize)>,
}

impl Iterator for Walk {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        let place = self.place;
        for (at, &(dim, step)) in self.index.iter_mut().zip(&self.axes).rev() {
            *at += 1;
            self.place += step;
            if *at < dim {
                break;
            }
            self.place -= dim * step;
            *at = 0;
        }
        Some(place)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

/// Distance between neighbours along each axis.
pub(super) fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for i in (1..shape.len()).rev() {
        strides[i - 1] = strides[i] * shape[i].max(1);
    }
    strides
}

/// An axis of an attribute. Negative axes count from the end.
pub(super) fn axis(axis: i64, rank: usize) -> Result<usize, String> {
    let from_front = if axis < 0 { axis + rank as i64 } else { axis };
    usize::try_from(from_front)
        .ok()
        .filter(|&i| i < rank)
        .ok_or_else(|| format!("axis {axis} of {rank} dimensions"))
}
