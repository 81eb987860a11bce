//! The functions that a matrix product can apply to its outputs.

/// Function applied to each output of a matrix product, or to a slice by
/// [`Kernels::activate`](crate::Kernels::activate). The formulas are in [`math`](crate::math).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Activation {
    /// The value itself.
    #[default]
    None,
    /// `x * (0.5 * (1 + erf(x / sqrt(2))))`, see [`math::gelu`](crate::math::gelu).
    Gelu,
    /// GELU for outputs that are rounded to 8 or 16 bits next: see
    /// [`math::gelu_coarse`](crate::math::gelu_coarse).
    GeluCoarse,
    /// GELU's tanh approximation, see [`math::gelu_tanh`](crate::math::gelu_tanh).
    GeluTanh,
    /// `0` below zero, else the value.
    Relu,
    /// Hyperbolic tangent, see [`math::tanh`](crate::math::tanh).
    Tanh,
}

impl Activation {
    /// The function to use if its values are rounded to 8 or 16 bits next:
    /// [`GeluCoarse`](Self::GeluCoarse) for [`Gelu`](Self::Gelu), the same function otherwise.
    #[must_use]
    pub fn before_rounding(self) -> Self {
        match self {
            Self::Gelu => Self::GeluCoarse,
            other => other,
        }
    }

    /// Applies the function to one value. NaN gives NaN.
    #[inline]
    #[must_use]
    pub fn apply(self, x: f32) -> f32 {
        match self {
            Self::None => x,
            Self::Gelu => crate::math::gelu(x),
            Self::GeluCoarse => crate::math::gelu_coarse(x),
            Self::GeluTanh => crate::math::gelu_tanh(x),
            Self::Relu => crate::math::relu(x),
            Self::Tanh => crate::math::tanh(x),
        }
    }
}
