//! One row of function pointers per tier, and the choice of a row.
//!
//! # How to add a tier
//!
//! 1. A folder: `src/x86_64/avx2/`, `src/aarch64/..`. On x86-64 it has the tier's vectors
//!    (`lanes.rs`: an implementation of `x86_64::simd::Simd`, whose token proves the features),
//!    what it does in its own way (`gemm_i8.rs`), and its row (`mod.rs`: the macro
//!    `x86_64::row!` compiles everything else, which is generic over `Simd`, for its features).
//!    Its functions have the types below and may rely on the shapes, which `ops.rs` has checked.
//! 2. A variant of [`Isa`], with its name.
//! 3. The row's `supported`: a method of `x86_64::features::Features`, tested there on made-up
//!    answers. A field of the row may be another tier's function while there is no better one.
//! 4. Its place in [`TIERS`], slowest first.
//! 5. `LANERANK_REQUIRE_ISA=<name> cargo test -p lanerank-kernels`: the tests run on every tier
//!    in the table without being told. Where the CPU lacks the instructions, `emulator/` can be
//!    taught them.
//!
//! # How to add an operation
//!
//! One function type and one field here, one checked method in `ops.rs`, one function in
//! `reference.rs`, one in `portable/`, one generic in `x86_64/` with its line in the macro `row!`
//! (a tier may use the reference's meanwhile), one property in `tests/`.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::layout::{PackedF16, PackedF32, PackedI8};
use crate::ops::RowQuant;
use crate::{Activation, Isa, IsaError, portable, reference};

pub(crate) type QuantizeU8 = fn(&[f32], Option<&[f32]>, usize, usize, &mut [u8], &mut [RowQuant]);
pub(crate) type QuantizeI16 =
    fn(&[f32], Option<&[f32]>, usize, usize, &mut [u8], &mut [u8], &mut [f32]);
pub(crate) type GemmI8 =
    fn(&[u8], &[RowQuant], usize, &PackedI8<'_>, &[f32], Activation, &mut [f32]);
pub(crate) type GemmI8A16 =
    fn(&[u8], &[u8], &[f32], usize, &PackedI8<'_>, &[f32], Activation, &mut [f32]);
pub(crate) type GemmF32 = fn(&[f32], usize, &PackedF32<'_>, &[f32], Activation, &mut [f32]);
pub(crate) type GemmF16 = fn(&[f32], usize, &PackedF16<'_>, &[f32], Activation, &mut [f32]);
pub(crate) type LayerNorm = fn(&mut [f32], &[f32], &[f32], f32, usize, usize);
pub(crate) type AddLayerNorm = fn(&mut [f32], &[f32], &[f32], &[f32], f32, usize, usize);
pub(crate) type Attention = fn(&[f32], &[f32], usize, usize, &mut Vec<f32>, &mut [f32]);
pub(crate) type ClsAttention = fn(&[f32], &[f32], &[f32], usize, usize, &mut Vec<f32>, &mut [f32]);

/// The kernels of one tier. Cheap to copy around as `&'static Kernels`.
///
/// The methods check every shape and panic on a mismatch; what they compute is in their own
/// documentation, and is the same on every tier (see the [crate's](crate) rules).
pub struct Kernels {
    pub(crate) isa: Isa,
    pub(crate) supported: fn() -> bool,
    pub(crate) quantize_u8: QuantizeU8,
    pub(crate) quantize_i16: QuantizeI16,
    pub(crate) gemm_i8: GemmI8,
    pub(crate) gemm_i8_a16: GemmI8A16,
    pub(crate) gemm_f32: GemmF32,
    pub(crate) gemm_f16: GemmF16,
    pub(crate) layer_norm: LayerNorm,
    pub(crate) add_layer_norm: AddLayerNorm,
    pub(crate) attention: Attention,
    pub(crate) attention_i8: Attention,
    pub(crate) cls_attention: ClsAttention,
    pub(crate) softmax: fn(&mut [f32]),
    pub(crate) activate: fn(Activation, &mut [f32]),
    pub(crate) dot: fn(&[f32], &[f32]) -> f32,
    pub(crate) add_scaled_i8: fn(&[i8], f32, &mut [f32]),
    pub(crate) widen_f16: fn(&[half::f16], &mut [f32]),
}

static REFERENCE: Kernels = Kernels {
    isa: Isa::Reference,
    supported: || true,
    quantize_u8: reference::quantize_u8,
    quantize_i16: reference::quantize_i16,
    gemm_i8: reference::gemm_i8,
    gemm_i8_a16: reference::gemm_i8_a16,
    gemm_f32: reference::gemm_f32,
    gemm_f16: reference::gemm_f16,
    layer_norm: reference::layer_norm,
    add_layer_norm: reference::add_layer_norm,
    attention: reference::attention,
    attention_i8: reference::attention_i8,
    cls_attention: reference::cls_attention,
    softmax: reference::softmax,
    activate: reference::activate,
    dot: reference::dot,
    add_scaled_i8: reference::add_scaled_i8,
    widen_f16: reference::widen_f16,
};

/// The tiers that [`Kernels::assume_available`] named, a bit for each.
static ASSUMED: AtomicU32 = AtomicU32::new(0);

/// Every tier built into this binary, slowest first.
static TIERS: &[&Kernels] = &[
    &REFERENCE,
    &portable::KERNELS,
    #[cfg(target_arch = "x86_64")]
    &crate::x86_64::avx2::KERNELS,
    #[cfg(target_arch = "x86_64")]
    &crate::x86_64::avx_vnni::KERNELS,
    #[cfg(target_arch = "x86_64")]
    &crate::x86_64::avx512_vnni::KERNELS,
    #[cfg(target_arch = "x86_64")]
    &crate::x86_64::amx_int8::KERNELS,
];

impl Kernels {
    /// The tiers that this CPU can run, slowest first: the reference is always the first.
    pub fn available() -> impl Iterator<Item = &'static Kernels> {
        TIERS
            .iter()
            .copied()
            .filter(|kernels| (kernels.supported)() || kernels.is_assumed())
    }

    /// The fastest tier that this CPU can run.
    #[must_use]
    pub fn best() -> &'static Kernels {
        Self::available().last().unwrap_or(&REFERENCE)
    }

    /// The tier named.
    ///
    /// # Errors
    /// [`IsaError::NotOnThisCpu`] if this CPU cannot run it.
    pub fn for_isa(isa: Isa) -> Result<&'static Kernels, IsaError> {
        Self::available()
            .find(|kernels| kernels.isa == isa)
            .ok_or(IsaError::NotOnThisCpu(isa))
    }

    /// The tier named by the environment variable `LANERANK_ISA`, or [`best`](Self::best)
    /// where that is unset or empty.
    ///
    /// # Errors
    /// [`IsaError`] if the variable names no tier, or one that this CPU cannot run.
    pub fn from_env() -> Result<&'static Kernels, IsaError> {
        match std::env::var_os("LANERANK_ISA") {
            Some(name) if !name.is_empty() => Self::for_isa(name.to_string_lossy().parse()?),
            _ => Ok(Self::best()),
        }
    }

    /// Makes a tier available that this CPU or operating system was found not to run: for tests
    /// that emulate what is missing.
    ///
    /// # Safety
    /// From now on, every instruction of the tier's, run anywhere in this process, does what its
    /// manual says.
    #[doc(hidden)]
    pub unsafe fn assume_available(isa: Isa) {
        ASSUMED.fetch_or(1 << isa as u32, Ordering::Release);
    }

    fn is_assumed(&self) -> bool {
        ASSUMED.load(Ordering::Acquire) >> (self.isa as u32) & 1 == 1
    }

    /// Which tier this is.
    #[must_use]
    pub fn isa(&self) -> Isa {
        self.isa
    }
}

impl std::fmt::Debug for Kernels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kernels")
            .field("isa", &self.isa)
            .finish_non_exhaustive()
    }
}
