//! Layout of weights, as the matrix products read them.
//!
//! A weight matrix is `n` output channels by `k` inputs, row-major as in a checkpoint
//! (`values[j * k + d]`). It is packed once, at conversion, and then used as it lies.
//!
//! **int8**: panels of 16 channels, in groups of 4 inputs along the depth. The depth is padded with
//! zeros to a multiple of 64, the channels to a multiple of 16. A 64-byte line is 16 channels by 4
//! inputs, one AVX-512 VNNI operand; 16 lines are one AMX tile:
//!
//! ```text
//! panel p, group g, one line of 64 bytes (c = 16 p, d = 4 g):
//!   w[c][d] w[c][d+1] w[c][d+2] w[c][d+3] | w[c+1][d] .. w[c+1][d+3] | .. | w[c+15][d] .. [d+3]
//! order of lines: p = 0: g = 0, 1, .. padded_k/4 - 1; then p = 1; ..
//! ```
//!
//! **f32 and f16**: panels of 16 channels, `[ceil(n / 16)][k][16]`: for each input, the 16
//! channels' weights side by side. The channels are padded with zeros.
//!
//! `k` is at most [`MAX_K`], so that no sum of `u8 * i8` products overflows an `i32`:
//! `255 * 128 * 65536 = 2_139_095_040 < 2^31`.

use std::fmt;

use half::f16;

use crate::math::round_even;

/// Channels of a panel.
pub const PANEL: usize = 16;
/// The depth of int8 operands is padded to a multiple of this.
pub const K_ALIGN: usize = 64;
/// Largest depth of a matrix product.
pub const MAX_K: usize = 65_536;

/// Data of another length than its shape asks for, or a shape out of bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ShapeError {
    /// `k` exceeds [`MAX_K`], or the packed length exceeds the address space.
    TooLarge {
        /// Output channels.
        n: usize,
        /// Depth.
        k: usize,
    },
    /// The named slice has `actual` elements, not `expected`.
    Length {
        /// Which slice: `data`, `scales` or `sums`.
        what: &'static str,
        /// Elements that the shape asks for.
        expected: usize,
        /// Elements that the slice has.
        actual: usize,
    },
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { n, k } => write!(f, "a weight matrix of {n} x {k} is too large"),
            Self::Length {
                what,
                expected,
                actual,
            } => {
                write!(
                    f,
                    "{what} has {actual} elements, its shape asks for {expected}"
                )
            }
        }
    }
}

impl std::error::Error for ShapeError {}

/// `k` rounded up to a multiple of [`K_ALIGN`]: the stride of quantised rows.
///
/// # Panics
/// If `k` exceeds [`MAX_K`].
#[inline]
#[must_use]
pub fn padded_k(k: usize) -> usize {
    assert!(k <= MAX_K, "depth {k} exceeds {MAX_K}");
    k.next_multiple_of(K_ALIGN)
}

/// Bytes of an `n` by `k` matrix packed for int8. `None` if `k` exceeds [`MAX_K`] or the length
/// exceeds the address space.
#[must_use]
pub fn checked_packed_i8_len(n: usize, k: usize) -> Option<usize> {
    if k > MAX_K {
        return None;
    }
    n.checked_next_multiple_of(PANEL)?.checked_mul(padded_k(k))
}

/// Elements of an `n` by `k` matrix packed for f32 or f16. `None` as for
/// [`checked_packed_i8_len`].
#[must_use]
pub fn checked_packed_f32_len(n: usize, k: usize) -> Option<usize> {
    if k > MAX_K {
        return None;
    }
    n.checked_next_multiple_of(PANEL)?.checked_mul(k)
}

/// [`checked_packed_i8_len`] of a shape known to be in bounds.
///
/// # Panics
/// If `k` exceeds [`MAX_K`] or the length exceeds the address space.
#[must_use]
pub fn packed_i8_len(n: usize, k: usize) -> usize {
    checked_packed_i8_len(n, k).expect("weight matrix too large")
}

/// [`checked_packed_f32_len`] of a shape known to be in bounds.
///
/// # Panics
/// If `k` exceeds [`MAX_K`] or the length exceeds the address space.
#[must_use]
pub fn packed_f32_len(n: usize, k: usize) -> usize {
    checked_packed_f32_len(n, k).expect("weight matrix too large")
}

/// Index of weight `d` of channel `j` in a matrix packed for int8.
#[inline]
pub(crate) fn index_i8(j: usize, d: usize, k: usize) -> usize {
    (j / PANEL) * PANEL * padded_k(k) + (d / 4) * PANEL * 4 + (j % PANEL) * 4 + d % 4
}

/// Index of weight `d` of channel `j` in a matrix packed for f32 or f16.
#[inline]
pub(crate) fn index_f32(j: usize, d: usize, k: usize) -> usize {
    ((j / PANEL) * k + d) * PANEL + j % PANEL
}

fn check_matrix<T>(values: &[T], n: usize, k: usize) {
    assert!(
        n.checked_mul(k) == Some(values.len()),
        "weights: {} values are not {n} x {k}",
        values.len()
    );
}

fn pack<T: Copy + Default>(
    values: &[T],
    n: usize,
    k: usize,
    len: usize,
    index: impl Fn(usize, usize, usize) -> usize,
) -> Vec<T> {
    check_matrix(values, n, k);
    let mut packed = vec![T::default(); len];
    for j in 0..n {
        for d in 0..k {
            packed[index(j, d, k)] = values[j * k + d];
        }
    }
    packed
}

fn unpack<T: Copy>(
    packed: &[T],
    n: usize,
    k: usize,
    len: usize,
    index: impl Fn(usize, usize, usize) -> usize,
) -> Vec<T> {
    assert_eq!(packed.len(), len, "packed weights of {n} x {k}");
    (0..n)
        .flat_map(|j| (0..k).map(move |d| (j, d)))
        .map(|(j, d)| packed[index(j, d, k)])
        .collect()
}

/// Packs row-major int8 weights (`n` by `k`).
///
/// # Panics
/// If `values` is not `n * k` long, or as [`packed_i8_len`].
#[must_use]
pub fn pack_i8(values: &[i8], n: usize, k: usize) -> Vec<i8> {
    pack(values, n, k, packed_i8_len(n, k), index_i8)
}

/// Packs row-major f32 weights (`n` by `k`).
///
/// # Panics
/// If `values` is not `n * k` long, or as [`packed_f32_len`].
#[must_use]
pub fn pack_f32(values: &[f32], n: usize, k: usize) -> Vec<f32> {
    pack(values, n, k, packed_f32_len(n, k), index_f32)
}

/// Packs row-major f16 weights (`n` by `k`).
///
/// # Panics
/// As [`pack_f32`].
#[must_use]
pub fn pack_f16(values: &[f16], n: usize, k: usize) -> Vec<f16> {
    pack(values, n, k, packed_f32_len(n, k), index_f32)
}

/// Unpacks the result of [`pack_i8`] to row-major weights (`n` by `k`).
///
/// # Panics
/// If `packed` does not have the packed length.
#[must_use]
pub fn unpack_i8(packed: &[i8], n: usize, k: usize) -> Vec<i8> {
    unpack(packed, n, k, packed_i8_len(n, k), index_i8)
}

/// Unpacks the result of [`pack_f32`] to row-major weights (`n` by `k`).
///
/// # Panics
/// If `packed` does not have the packed length.
#[must_use]
pub fn unpack_f32(packed: &[f32], n: usize, k: usize) -> Vec<f32> {
    unpack(packed, n, k, packed_f32_len(n, k), index_f32)
}

/// Unpacks the result of [`pack_f16`] to row-major weights (`n` by `k`).
///
/// # Panics
/// If `packed` does not have the packed length.
#[must_use]
pub fn unpack_f16(packed: &[f16], n: usize, k: usize) -> Vec<f16> {
    unpack(packed, n, k, packed_f32_len(n, k), index_f32)
}

/// Weights rounded to int8, with one scale per output channel.
#[derive(Debug, Clone, PartialEq)]
pub struct QuantizedWeights {
    /// `n` by `k`, row-major, from -127 to 127.
    pub values: Vec<i8>,
    /// `n` scales: weight `d` of channel `j` is about `values[j * k + d] * scales[j]`.
    pub scales: Vec<f32>,
}

/// Rounds weights (`n` by `k`, row-major) to int8, symmetrically, per output channel:
/// `scale = max|w| / 127`, `value = round_even(w * (127 / max|w|))`.
///
/// A channel of zeros, or of weights so small that `127 / max|w|` overflows, gets zeros and scale
/// 1. A channel with a NaN or an infinity gets zeros and scale NaN.
///
/// # Panics
/// If `w` is not `n * k` long.
#[must_use]
pub fn quantize_weights(w: &[f32], n: usize, k: usize) -> QuantizedWeights {
    check_matrix(w, n, k);
    let mut values = vec![0; n * k];
    let mut scales = vec![1.0; n];
    for j in 0..n {
        let row = &w[j * k..(j + 1) * k];
        if !row.iter().all(|w| w.is_finite()) {
            scales[j] = f32::NAN;
            continue;
        }
        let largest = row.iter().fold(0.0_f32, |a, w| a.max(w.abs()));
        let inverse = 127.0 / largest;
        if !inverse.is_finite() {
            continue;
        }
        scales[j] = largest / 127.0;
        for (value, w) in values[j * k..].iter_mut().zip(row) {
            *value = round_even(w * inverse) as i8;
        }
    }
    QuantizedWeights { values, scales }
}

/// The sum of each channel's int8 weights (`n` by `k`, row-major). With it, the products undo the
/// zero points of the input rows.
///
/// # Panics
/// If `values` is not `n * k` long or `k` exceeds [`MAX_K`].
#[must_use]
pub fn column_sums(values: &[i8], n: usize, k: usize) -> Vec<i32> {
    check_matrix(values, n, k);
    assert!(k <= MAX_K, "depth {k} exceeds {MAX_K}");
    (0..n)
        .map(|j| {
            values[j * k..(j + 1) * k]
                .iter()
                .map(|&w| i32::from(w))
                .sum()
        })
        .collect()
}

fn check_length(what: &'static str, actual: usize, expected: usize) -> Result<(), ShapeError> {
    if actual == expected {
        Ok(())
    } else {
        Err(ShapeError::Length {
            what,
            expected,
            actual,
        })
    }
}

/// int8 weights packed by [`pack_i8`], with their scales and sums.
#[derive(Debug, Clone, Copy)]
pub struct PackedI8<'a> {
    n: usize,
    k: usize,
    data: &'a [i8],
    scales: &'a [f32],
    sums: &'a [i32],
}

impl<'a> PackedI8<'a> {
    /// A view of `n` by `k` packed weights; `scales` and `sums` have `n` elements each.
    /// The sums are trusted to be [`column_sums`] of the weights.
    ///
    /// # Errors
    /// [`ShapeError`] for a slice of another length than the shape asks for.
    pub fn new(
        n: usize,
        k: usize,
        data: &'a [i8],
        scales: &'a [f32],
        sums: &'a [i32],
    ) -> Result<Self, ShapeError> {
        let len = checked_packed_i8_len(n, k).ok_or(ShapeError::TooLarge { n, k })?;
        check_length("data", data.len(), len)?;
        check_length("scales", scales.len(), n)?;
        check_length("sums", sums.len(), n)?;
        Ok(Self {
            n,
            k,
            data,
            scales,
            sums,
        })
    }

    /// Output channels.
    #[must_use]
    pub fn n(&self) -> usize {
        self.n
    }

    /// Depth.
    #[must_use]
    pub fn k(&self) -> usize {
        self.k
    }

    /// The packed weights, [`packed_i8_len`] bytes.
    #[must_use]
    pub fn data(&self) -> &'a [i8] {
        self.data
    }

    /// One scale per output channel.
    #[must_use]
    pub fn scales(&self) -> &'a [f32] {
        self.scales
    }

    /// The sum of each output channel's weights.
    #[must_use]
    pub fn sums(&self) -> &'a [i32] {
        self.sums
    }
}

/// f32 or f16 weights, packed by [`pack_f32`] or [`pack_f16`].
#[derive(Debug, Clone, Copy)]
pub struct PackedFloat<'a, T> {
    n: usize,
    k: usize,
    data: &'a [T],
}

/// Weights packed by [`pack_f32`].
pub type PackedF32<'a> = PackedFloat<'a, f32>;
/// Weights packed by [`pack_f16`].
pub type PackedF16<'a> = PackedFloat<'a, f16>;

impl<'a, T> PackedFloat<'a, T> {
    /// A view of `n` by `k` packed weights.
    ///
    /// # Errors
    /// [`ShapeError`] if `data` is not [`packed_f32_len`] elements long.
    pub fn new(n: usize, k: usize, data: &'a [T]) -> Result<Self, ShapeError> {
        let len = checked_packed_f32_len(n, k).ok_or(ShapeError::TooLarge { n, k })?;
        check_length("data", data.len(), len)?;
        Ok(Self { n, k, data })
    }

    /// Output channels.
    #[must_use]
    pub fn n(&self) -> usize {
        self.n
    }

    /// Depth.
    #[must_use]
    pub fn k(&self) -> usize {
        self.k
    }

    /// The packed weights, [`packed_f32_len`] elements.
    #[must_use]
    pub fn data(&self) -> &'a [T] {
        self.data
    }
}
