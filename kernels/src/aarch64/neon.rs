//! NEON alone: Cortex-A53 (2014), Cortex-A72, Raspberry Pi 3 and 4.

use super::lanes::Neon;
use super::level::{Base, Level};
use crate::{Isa, Kernels};

// SAFETY: `Base` needs no features beyond the target's.
pub(crate) static KERNELS: Kernels =
    unsafe { Kernels::generic::<Neon<Base>>(Isa::Neon, Base::detected) };
