//! NEON with `sdot`: Neoverse N1, Cortex-A76 (2018), Apple M1 and later.

mod gemm_i8;

use super::lanes::Neon;
use super::level::{DotProd, Level};
use crate::{Isa, Kernels};

pub(crate) static KERNELS: Kernels = Kernels {
    gemm_i8: gemm_i8::gemm_i8,
    gemm_i8_a16: gemm_i8::gemm_i8_a16,
    // SAFETY: `detected` asks for the features of `DotProd`.
    ..unsafe { Kernels::generic::<Neon<DotProd>>(Isa::NeonDotprod, DotProd::detected) }
};
