//! One row of function pointers per tier, and the choice of a row.
//!
//! # How to add an operation
//!
//! Six files besides tests:
//!
//! 1. `ops/<family>.rs`: a struct of the parameters, and a method of [`Kernels`] that documents the
//!    operation, checks the shapes and calls the row's function. `ops/mod.rs` re-exports the
//!    struct, and so does `lib.rs` if the method takes it.
//! 2. `reference.rs`: a function that computes it the obvious way. Its order of floating-point
//!    operations is the definition.
//! 3. `generic/<family>.rs`: `impl Operation` for the struct, the body for every other tier.
//! 4. Here: a field of [`Kernels`], and its line in `REFERENCE` and in [`Kernels::generic`].
//! 5. `tests/tiers.rs`: a property, which runs on every tier.
//!
//! # How to add a tier
//!
//! Six files besides tests; their names are x86-64's, and `aarch64/` has the same ones:
//!
//! 1. `x86_64/<tier>/lanes.rs`: an implementation of [`Simd`] for a token that proves the CPU's
//!    features. A tier that only adds an instruction has instead what it does with that, such as
//!    `x86_64/avx_vnni/gemm_i8.rs`.
//! 2. `x86_64/<tier>/mod.rs`: its row, [`Kernels::generic`] or `..another_tier::KERNELS`, with its
//!    own functions in place of some; and `mod <tier>` in `x86_64/mod.rs`.
//! 3. `x86_64/features/mod.rs`: the row's `supported`, tested there on made-up CPUs.
//! 4. `isa.rs`: a variant of [`Isa`], with its name.
//! 5. Here: its place in [`TIERS`], slowest first.
//! 6. `LANERANK_REQUIRE_ISA=<name> cargo test -p lanerank-kernels`: the tests run on every tier in
//!    the table, and fail if this one was skipped. `emulator/` can be taught instructions that the
//!    CPU lacks, and `peak.rs` the tier's peaks.

use half::f16;

use crate::generic::simd::Simd;
use crate::ops::{
    Activate, AddScaledI8, Attention, AttentionI8, ClsAttention, Dot, GemmFloat, GemmI8, GemmI8A16,
    LayerNorm, Operation, QuantizeI16, QuantizeU8, Softmax, WidenF16,
};
use crate::{Isa, IsaError, portable, reference};

/// The kernels of one tier: an implementation of every operation for one instruction set.
///
/// The methods check every shape and panic on a mismatch. They give the same results on every
/// tier, as far as their own documentation says.
pub struct Kernels {
    pub(crate) isa: Isa,
    /// Whether this CPU and operating system can run the functions.
    pub(crate) supported: fn() -> bool,
    pub(crate) quantize_u8: fn(QuantizeU8<'_>),
    pub(crate) quantize_i16: fn(QuantizeI16<'_>),
    pub(crate) gemm_i8: fn(GemmI8<'_>),
    pub(crate) gemm_i8_a16: fn(GemmI8A16<'_>),
    pub(crate) gemm_f32: fn(GemmFloat<'_, f32>),
    pub(crate) gemm_f16: fn(GemmFloat<'_, f16>),
    pub(crate) layer_norm: fn(LayerNorm<'_>),
    pub(crate) attention: fn(Attention<'_>),
    pub(crate) attention_i8: fn(AttentionI8<'_>),
    pub(crate) cls_attention: fn(ClsAttention<'_>),
    pub(crate) softmax: fn(Softmax<'_>),
    pub(crate) activate: fn(Activate<'_>),
    pub(crate) dot: fn(Dot<'_>) -> f32,
    pub(crate) add_scaled_i8: fn(AddScaledI8<'_>),
    pub(crate) widen_f16: fn(WidenF16<'_>),
}

static REFERENCE: Kernels = Kernels {
    isa: Isa::Reference,
    supported: || true,
    quantize_u8: reference::quantize_u8,
    quantize_i16: reference::quantize_i16,
    gemm_i8: reference::gemm_i8,
    gemm_i8_a16: reference::gemm_i8_a16,
    gemm_f32: reference::gemm_float,
    gemm_f16: reference::gemm_float,
    layer_norm: reference::layer_norm,
    attention: reference::attention,
    attention_i8: reference::attention_i8,
    cls_attention: reference::cls_attention,
    softmax: reference::softmax,
    activate: reference::activate,
    dot: reference::dot,
    add_scaled_i8: reference::add_scaled_i8,
    widen_f16: reference::widen_f16,
};

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
    #[cfg(target_arch = "aarch64")]
    &crate::aarch64::neon::KERNELS,
    #[cfg(target_arch = "aarch64")]
    &crate::aarch64::neon_dotprod::KERNELS,
    #[cfg(target_arch = "aarch64")]
    &crate::aarch64::neon_i8mm::KERNELS,
];

impl Kernels {
    /// A row of the generic bodies, compiled for the features of `S`.
    ///
    /// # Safety
    /// `supported` returns true only where the CPU has those features.
    pub(crate) const unsafe fn generic<S: Simd>(isa: Isa, supported: fn() -> bool) -> Self {
        /// The function of one operation.
        fn call<S: Simd, O: Operation>(op: O) -> O::Output {
            // SAFETY: only `generic` names this function, in rows that `Kernels` hands out only
            // where `supported` returns true; then the CPU has the features.
            unsafe { S::vectorize(op) }
        }
        Self {
            isa,
            supported,
            quantize_u8: |op| call::<S, _>(op),
            quantize_i16: |op| call::<S, _>(op),
            gemm_i8: |op| call::<S, _>(op),
            gemm_i8_a16: |op| call::<S, _>(op),
            gemm_f32: |op| call::<S, _>(op),
            gemm_f16: |op| call::<S, _>(op),
            layer_norm: |op| call::<S, _>(op),
            attention: |op| call::<S, _>(op),
            attention_i8: |op| call::<S, _>(op),
            cls_attention: |op| call::<S, _>(op),
            softmax: |op| call::<S, _>(op),
            activate: |op| call::<S, _>(op),
            dot: |op| call::<S, _>(op),
            add_scaled_i8: |op| call::<S, _>(op),
            widen_f16: |op| call::<S, _>(op),
        }
    }

    /// The tiers that this CPU can run, slowest first; the first is always the reference.
    pub fn available() -> impl Iterator<Item = &'static Kernels> {
        TIERS.iter().copied().filter(|kernels| kernels.can_run())
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

    /// The tier that the environment variable `LANERANK_ISA` names, or [`best`](Self::best) if it
    /// is unset or empty.
    ///
    /// # Errors
    /// [`IsaError`] if the variable names no tier, or one that this CPU cannot run.
    pub fn from_env() -> Result<&'static Kernels, IsaError> {
        match std::env::var_os("LANERANK_ISA") {
            Some(name) if !name.is_empty() => Self::for_isa(name.to_string_lossy().parse()?),
            _ => Ok(Self::best()),
        }
    }

    /// Which tier this is.
    #[must_use]
    pub fn isa(&self) -> Isa {
        self.isa
    }

    #[cfg(not(feature = "emulate"))]
    fn can_run(&self) -> bool {
        (self.supported)()
    }

    #[cfg(feature = "emulate")]
    fn can_run(&self) -> bool {
        (self.supported)() || crate::assumed::is_assumed(self.isa)
    }
}

impl std::fmt::Debug for Kernels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kernels")
            .field("isa", &self.isa)
            .finish_non_exhaustive()
    }
}
