//! int8, f16 and f32 matrix products, attention and row-wise operations for small transformers on
//! CPUs, with hand-written SIMD and the same bits on every CPU.
//!
//! [`Kernels`] is the entry: an implementation of every operation for one instruction set, a
//! *tier*. [`Kernels::best`] chooses the fastest tier that this CPU can run. An operation is a
//! method, most of which take a struct of parameters:
//!
//! ```
//! use lanerank_kernels::layout::{self, PackedI8};
//! use lanerank_kernels::{
//!     Activation, Epilogue, GemmI8, Kernels, QuantizeU8, RowQuant, Rows, RowsU8, RowsU8Mut,
//! };
//!
//! # fn main() -> Result<(), layout::ShapeError> {
//! let (m, n, k) = (2, 3, 4); // rows, output channels, depth
//! let kernels = Kernels::best();
//!
//! // Once: round the weights to int8, per output channel, and pack them.
//! let w: Vec<f32> = (0..n * k).map(|i| i as f32 - 5.0).collect();
//! let q = layout::quantize_weights(&w, n, k);
//! let (packed, sums) = (layout::pack_i8(&q.values, n, k), layout::column_sums(&q.values, n, k));
//! let b = PackedI8::new(n, k, &packed, &q.scales, &sums)?;
//!
//! // Per request: round the rows to u8, and multiply.
//! let x = [1.0, 0.0, 0.0, 0.0, 0.0, 0.5, 0.0, 0.0];
//! let mut data = vec![0; m * layout::padded_k(k)];
//! let mut params = vec![RowQuant::default(); m];
//! kernels.quantize_u8(QuantizeU8 {
//!     x: Rows { data: &x, m, k },
//!     scale: None,
//!     out: RowsU8Mut { data: &mut data, params: &mut params },
//! });
//! let mut out = [0.0; 6];
//! kernels.gemm_i8(GemmI8 {
//!     a: RowsU8 { data: &data, params: &params },
//!     b,
//!     epilogue: Epilogue { bias: &[0.0; 3], act: Activation::None },
//!     out: &mut out,
//! });
//! for (out, exact) in out.iter().zip([-5.0, -1.0, 3.0, -2.0, 0.0, 2.0]) {
//!     assert!((out - exact).abs() < 0.1);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Names
//!
//! `m`, `n` and `k` are rows, output channels and depth, everywhere. All matrices are row-major.
//!
//! # Errors
//!
//! A slice of the wrong length is a mistake of the program, and panics. The views of weights
//! ([`layout::PackedI8`], [`layout::PackedFloat`]) may come from a file, and give a
//! [`layout::ShapeError`].
//!
//! # The same bits
//!
//! A row's result does not depend on the other rows, on their number, or on the tier. The tiers
//! differ only in the f32 and f16 products and in [`Kernels::attention`], where the tiers of x86-64
//! and aarch64 fuse multiplications and additions. The order of floating-point operations is part
//! of each operation's documentation; "by 16 lanes" means `lane[i % 16] += x[i]`, then lanes 8
//! apart are added, then 4, 2 and 1 apart.
//!
//! # Cargo features
//!
//! Both are off by default.
//!
//! * `peak`: the module `peak`, which measures a machine's ceilings for benchmarks.
//! * `emulate`: for tests that emulate missing instructions.
//!
//! The README has the tiers, the layouts, the rules of the numbers, and figures.

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(target_arch = "aarch64")]
mod aarch64;
mod activation;
#[cfg(feature = "emulate")]
mod assumed;
mod attention_bounds;
mod generic;
mod isa;
pub mod layout;
pub mod math;
mod operands;
mod ops;
#[cfg(feature = "peak")]
pub mod peak;
mod portable;
mod reference;
mod table;
mod tokens;
#[cfg(target_arch = "x86_64")]
mod x86_64;

pub use activation::Activation;
pub use isa::{Isa, IsaError};
pub use operands::{Epilogue, RowQuant, Rows, RowsI16, RowsI16Mut, RowsU8, RowsU8Mut};
pub use ops::{
    Attention, ClsAttention, GemmFloat, GemmI8, GemmI8A16, LayerNorm, QuantizeI16, QuantizeU8,
};
pub use table::Kernels;
