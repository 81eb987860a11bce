//! To how many bits the inputs of int8 matrices are rounded.

/// Bits of an int8 matrix's activations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// Asymmetric 8 bits a row: the fastest.
    #[default]
    Eight,
    /// Symmetric 16 bits a row, two exact products: as good as unrounded.
    Sixteen,
}

impl Precision {
    /// `a8` or `a16`, as on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Precision::Eight => "a8",
            Precision::Sixteen => "a16",
        }
    }
}

/// A kind of matrix that every token's activations are multiplied with: one a layer.
///
/// The others (a last layer that computes first tokens only, the pooler) see a row a sequence, which
/// nothing averages out: their activations always have 16 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matrix {
    /// Queries, keys and values.
    AttentionQkv,
    /// The projection after attention.
    AttentionOutput,
    /// The first of the feed-forward part.
    FfnIntermediate,
    /// The second of the feed-forward part.
    FfnOutput,
}

impl Matrix {
    /// All kinds, in the order a layer uses them.
    pub const ALL: [Matrix; 4] = [
        Matrix::AttentionQkv,
        Matrix::AttentionOutput,
        Matrix::FfnIntermediate,
        Matrix::FfnOutput,
    ];

    /// The weight's name in the model file, after `layers.N.`.
    pub fn name(self) -> &'static str {
        match self {
            Matrix::AttentionQkv => "attention.qkv",
            Matrix::AttentionOutput => "attention.output",
            Matrix::FfnIntermediate => "ffn.intermediate",
            Matrix::FfnOutput => "ffn.output",
        }
    }

    fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// The precision of each kind of matrix. Of no effect where the weight is not int8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Activations {
    /// A bit a kind, set for 16 bits.
    sixteen: u32,
}

impl Activations {
    /// One precision for all.
    pub fn all(precision: Precision) -> Self {
        let mut all = Activations::default();
        Matrix::ALL.iter().for_each(|&m| all.set(m, precision));
        all
    }

    /// The precision of one kind.
    pub fn of(self, matrix: Matrix) -> Precision {
        match self.sixteen & matrix.bit() {
            0 => Precision::Eight,
            _ => Precision::Sixteen,
        }
    }

    /// Changes the precision of one kind.
    pub fn set(&mut self, matrix: Matrix, precision: Precision) {
        match precision {
            Precision::Eight => self.sixteen &= !matrix.bit(),
            Precision::Sixteen => self.sixteen |= matrix.bit(),
        }
    }

    /// As stored in the model file: bit `i` is that of [`Matrix::ALL`]`[i]`.
    pub fn to_bits(self) -> u32 {
        self.sixteen
    }

    /// Back from [`Activations::to_bits`]; `None` where a bit stands for nothing.
    pub fn from_bits(bits: u32) -> Option<Self> {
        let all = Self::all(Precision::Sixteen).sixteen;
        (bits & !all == 0).then_some(Activations { sixteen: bits })
    }
}
