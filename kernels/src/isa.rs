//! Names of the tiers, and the errors of choosing one.

use std::fmt;
use std::str::FromStr;

/// An implementation of every kernel for one instruction set: a *tier*.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Isa {
    /// Scalar code, one obvious loop per operation: the other tiers are tested against it.
    Reference,
    /// Vectors on every target: 128 bits, or more if the build enables the target features.
    Portable,
    /// x86-64 with AVX2, FMA and F16C: 256-bit vectors.
    Avx2,
    /// x86-64 with AVX2 and AVX-VNNI: 256-bit vectors, dot products of bytes.
    AvxVnni,
    /// x86-64 with AVX-512 (F, BW, VL, DQ) and VNNI: 512-bit vectors, dot products of bytes.
    Avx512Vnni,
    /// x86-64 with AVX-512, VNNI and AMX-INT8: products of tiles of bytes.
    AmxInt8,
    /// aarch64 with NEON, which every aarch64 CPU has: 128-bit vectors.
    Neon,
    /// aarch64 with NEON and `dotprod`: dot products of signed bytes.
    NeonDotprod,
    /// aarch64 with NEON, `dotprod` and `i8mm`: products of 2 by 8 and 8 by 2 bytes.
    NeonI8mm,
}

impl Isa {
    /// Every tier, of this target or another, slowest first.
    pub const ALL: [Self; 9] = [
        Self::Reference,
        Self::Portable,
        Self::Avx2,
        Self::AvxVnni,
        Self::Avx512Vnni,
        Self::AmxInt8,
        Self::Neon,
        Self::NeonDotprod,
        Self::NeonI8mm,
    ];

    /// The name that [`FromStr`] reads and [`fmt::Display`] writes, such as `portable`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Reference => "reference",
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::AvxVnni => "avx_vnni",
            Self::Avx512Vnni => "avx512_vnni",
            Self::AmxInt8 => "amx_int8",
            Self::Neon => "neon",
            Self::NeonDotprod => "neon_dotprod",
            Self::NeonI8mm => "neon_i8mm",
        }
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Isa {
    type Err = IsaError;

    /// Reads a tier's name, in lower case.
    ///
    /// # Errors
    /// [`IsaError::Unknown`] for any other text.
    fn from_str(name: &str) -> Result<Self, IsaError> {
        Isa::ALL
            .into_iter()
            .find(|isa| isa.name() == name)
            .ok_or_else(|| IsaError::Unknown(name.to_owned()))
    }
}

/// Why a tier cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum IsaError {
    /// No tier has this name.
    Unknown(String),
    /// The tier exists, but this CPU or operating system cannot run it.
    NotOnThisCpu(Isa),
}

impl fmt::Display for IsaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => {
                write!(f, "unknown instruction set {name:?}; known are")?;
                for (i, isa) in Isa::ALL.into_iter().enumerate() {
                    write!(f, "{} {isa}", if i == 0 { "" } else { "," })?;
                }
                Ok(())
            }
            Self::NotOnThisCpu(isa) => write!(f, "this CPU cannot run the {isa} kernels"),
        }
    }
}

impl std::error::Error for IsaError {}
