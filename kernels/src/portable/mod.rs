//! The portable tier, for every target, in safe code on the `wide` crate.

mod lanes;

use half::f16;

use crate::generic::{attention, attention_i8, entry, gemm_f32, gemm_i8, row, rowwise};
use crate::layout::{PackedF16, PackedF32, PackedI8};
use crate::table::Kernels;
use crate::{Activation, Isa, RowQuant};
use lanes::Portable;

pub(crate) static KERNELS: Kernels = row!(Isa::Portable, || true, portable, Portable);
