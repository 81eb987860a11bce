//! NEON with `sdot` and `usmmla`: Neoverse V1 and N2 (2020), Apple M2 and later.

mod gemm_i8;

use super::lanes::Neon;
use super::level::{I8mm, Level};
use crate::{Isa, Kernels};

pub(crate) static KERNELS: Kernels = Kernels {
    gemm_i8: gemm_i8::gemm_i8,
    gemm_i8_a16: gemm_i8::gemm_i8_a16,
    // SAFETY: `detected` asks for the features of `I8mm`.
    ..unsafe { Kernels::generic::<Neon<I8mm>>(Isa::NeonI8mm, I8mm::detected) }
};
