//! Shape and rules of a model, as stored in the model file.

use std::fmt;

pub use lanerank_kernels::Activation;

/// How an encoder pools token vectors into one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pooling {
    /// The mean over all tokens.
    Mean,
    /// The first token's vector.
    Cls,
}

impl Pooling {
    /// `mean` or `cls`, as on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Pooling::Mean => "mean",
            Pooling::Cls => "cls",
        }
    }
}

/// What follows the layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Head {
    /// A cross-encoder: pooler and classifier on the first token.
    Classifier {
        /// 1 (score = sigmoid) or 2 (score = softmax of the second).
        num_labels: usize,
    },
    /// A sentence encoder: pooled token vectors.
    Encoder {
        /// How token vectors are pooled.
        pooling: Pooling,
        /// Whether the pooled vector is scaled to unit length.
        normalize: bool,
    },
}

/// How a model is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Architecture {
    /// BERT: a pooler with tanh under the classifier.
    #[default]
    Bert,
    /// ELECTRA: BERT with embeddings of their own width, and GELU under the classifier.
    Electra {
        /// Width of the embeddings. If it is not `hidden_size`, they are projected.
        embedding_size: usize,
    },
    /// XLM-RoBERTa: BERT with positions from 2.
    XlmRoberta,
}

impl Architecture {
    /// The `model_type` of Hugging Face's `config.json`.
    pub fn name(self) -> &'static str {
        match self {
            Architecture::Bert => "bert",
            Architecture::Electra { .. } => "electra",
            Architecture::XlmRoberta => "xlm-roberta",
        }
    }
}

/// Shape and rules of a model. Names are Hugging Face's.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelConfig {
    /// How the model is built.
    pub architecture: Architecture,
    /// Width of a token's vector.
    pub hidden_size: usize,
    /// Number of transformer layers.
    pub num_hidden_layers: usize,
    /// Attention heads per layer; divides `hidden_size`.
    pub num_attention_heads: usize,
    /// Width of the feed-forward layer.
    pub intermediate_size: usize,
    /// Number of word pieces.
    pub vocab_size: usize,
    /// Number of position embeddings.
    pub max_position_embeddings: usize,
    /// Number of segment embeddings.
    pub type_vocab_size: usize,
    /// Activation of the feed-forward layer.
    pub hidden_act: Activation,
    /// Added to the variance in every layer norm.
    pub layer_norm_eps: f32,
    /// What follows the layers.
    pub head: Head,
    /// Default limit of a sequence's length, at most `max_position_embeddings`.
    pub max_length: usize,
}

/// Widest layer: keeps every 32-bit sum of int8 products exact.
pub(crate) const MAX_WIDTH: usize = lanerank_kernels::layout::MAX_K;
/// Most layers. Bounds what a hostile file can make a reader loop over.
const MAX_LAYERS: usize = 128;
/// Most word pieces: 15 times the largest vocabulary that the tokenizer takes.
const MAX_VOCAB: usize = 1 << 24;
/// Most positions: far beyond any BERT, and small enough for 32-bit products of two lengths.
const MAX_POSITIONS: usize = 1 << 16;
/// Most segments: a token's type is a byte.
const MAX_SEGMENTS: usize = 1 << 8;

impl ModelConfig {
    /// Whether the last layer needs to compute the first token only.
    pub fn cls_only(&self) -> bool {
        !matches!(
            self.head,
            Head::Encoder {
                pooling: Pooling::Mean,
                ..
            }
        )
    }

    /// Width of the embeddings.
    pub fn embedding_size(&self) -> usize {
        match self.architecture {
            Architecture::Bert | Architecture::XlmRoberta => self.hidden_size,
            Architecture::Electra { embedding_size } => embedding_size,
        }
    }

    /// Width of one attention head.
    pub fn head_dim(&self) -> usize {
        self.hidden_size / self.num_attention_heads
    }

    /// Numbers that the model gives for a sequence: logits, or an encoder's vector.
    pub(crate) fn out_width(&self) -> usize {
        match self.head {
            Head::Classifier { num_labels } => num_labels,
            Head::Encoder { .. } => self.hidden_size,
        }
    }

    /// Checks that the values make a model.
    ///
    /// # Errors
    /// The name of the field that is wrong, and how.
    pub fn validate(&self) -> Result<(), (&'static str, String)> {
        let positions = self.max_position_embeddings;
        for (name, value, max) in [
            ("hidden_size", self.hidden_size, MAX_WIDTH),
            ("embedding_size", self.embedding_size(), MAX_WIDTH),
            ("num_hidden_layers", self.num_hidden_layers, MAX_LAYERS),
            (
                "num_attention_heads",
                self.num_attention_heads,
                self.hidden_size,
            ),
            ("intermediate_size", self.intermediate_size, MAX_WIDTH),
            ("vocab_size", self.vocab_size, MAX_VOCAB),
            ("max_position_embeddings", positions, MAX_POSITIONS),
            ("type_vocab_size", self.type_vocab_size, MAX_SEGMENTS),
            ("max_length", self.max_length, positions),
        ] {
            if !(1..=max).contains(&value) {
                return Err((name, format!("{value} is not in 1..={max}")));
            }
        }
        if !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            let heads = self.num_attention_heads;
            let reason = format!("{heads} does not divide hidden_size {}", self.hidden_size);
            return Err(("num_attention_heads", reason));
        }
        if !(self.layer_norm_eps.is_finite() && self.layer_norm_eps >= 0.0) {
            let reason = format!("{} is not a number of at least 0", self.layer_norm_eps);
            return Err(("layer_norm_eps", reason));
        }
        match self.head {
            Head::Classifier { num_labels } if !(1..=2).contains(&num_labels) => Err((
                "num_labels",
                format!("{num_labels}: a reranker has 1 logit or 2"),
            )),
            Head::Classifier { .. }
                if self.type_vocab_size < 2 && self.architecture != Architecture::XlmRoberta =>
            {
                Err((
                    "type_vocab_size",
                    "a cross-encoder tells query and passage apart by 2 segments".into(),
                ))
            }
            _ => Ok(()),
        }
    }
}

/// Bits that the activations of an int8 matrix are rounded to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// Asymmetric 8 bits per row: the fastest.
    #[default]
    Eight,
    /// Symmetric 16 bits per row, two exact products: as good as unrounded.
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

/// A matrix that multiplies every token's activations. Each layer has one of each kind.
///
/// The other matrices (a last layer that computes first tokens only, the pooler) see one row per
/// sequence, whose rounding errors nothing averages out. Their activations always have 16 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matrix {
    /// Queries, keys and values.
    AttentionQkv,
    /// The projection after attention.
    AttentionOutput,
    /// The first matrix of the feed-forward part.
    FfnIntermediate,
    /// The second matrix of the feed-forward part.
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

/// The activations' precision for each kind of matrix. Without effect where the weight is not int8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Activations {
    /// One bit per kind, set for 16 bits.
    sixteen: u32,
}

impl Activations {
    /// One precision for all matrices.
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

    /// As stored in the model file: bit `i` belongs to [`Matrix::ALL`]`[i]`.
    pub fn to_bits(self) -> u32 {
        self.sixteen
    }

    /// The inverse of [`Activations::to_bits`]; `None` for an unknown bit.
    pub fn from_bits(bits: u32) -> Option<Self> {
        let all = Self::all(Precision::Sixteen).sixteen;
        (bits & !all == 0).then_some(Activations { sixteen: bits })
    }
}

/// As `lanerank convert --activations` reads it: `a8`, `a16`, `a8,attention.qkv=a16`.
impl fmt::Display for Activations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Activations::all(Precision::Sixteen) {
            return f.write_str(Precision::Sixteen.name());
        }
        f.write_str(Precision::Eight.name())?;
        let sixteen = |m: &Matrix| self.of(*m) == Precision::Sixteen;
        Matrix::ALL
            .iter()
            .filter(|m| sixteen(m))
            .try_for_each(|m| write!(f, ",{}={}", m.name(), Precision::Sixteen.name()))
    }
}
