//! Names of the tiers, and the errors of choosing one.

use std::fmt;
use std::str::FromStr;

use crate::Kernels;

/// An implementation of every kernel for one instruction set: a *tier*.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Isa {
    /// Scalar code, one obvious loop per operation: what the other tiers are tested against.
    Reference,
    /// 128-bit (or wider, by the target features at compile time) vectors on every target.
    Portable,
}

impl Isa {
    /// The name that [`FromStr`] reads and [`fmt::Display`] writes, such as `portable`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Reference => "reference",
            Self::Portable => "portable",
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
        Kernels::all()
            .map(Kernels::isa)
            .find(|isa| isa.name() == name)
            .ok_or_else(|| IsaError::Unknown(name.to_owned()))
    }
}

/// Why a tier cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
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
                for (i, kernels) in Kernels::all().enumerate() {
                    write!(f, "{} {}", if i == 0 { "" } else { "," }, kernels.isa())?;
                }
                Ok(())
            }
            Self::NotOnThisCpu(isa) => write!(f, "this CPU cannot run the {isa} kernels"),
        }
    }
}

impl std::error::Error for IsaError {}
