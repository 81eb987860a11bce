//! What a model is: its shape and its rules, as stored in the model file.

pub use lanerank_kernels::Activation;

/// How an encoder's token vectors become one vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// The mean over all tokens.
    Mean,
    /// The first token's vector.
    Cls,
}

/// What stands on top of the layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Head {
    /// Pooler (dense + tanh on the first token) and classifier: a cross-encoder with this many logits.
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

/// Shape and rules of a BERT model; the names are Hugging Face's.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelConfig {
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
    /// Number of positions, the longest sequence the model can take.
    pub max_position_embeddings: usize,
    /// Number of segment embeddings.
    pub type_vocab_size: usize,
    /// Activation of the feed-forward layer.
    pub hidden_act: Activation,
    /// Added to the variance in every layer norm.
    pub layer_norm_eps: f32,
    /// What stands on top of the layers.
    pub head: Head,
    /// Longest sequence by default, at most `max_position_embeddings`.
    pub max_length: usize,
}

/// Widest layer: keeps every 32-bit sum of int8 products exact.
pub const MAX_WIDTH: usize = lanerank_kernels::layout::MAX_K;
/// Most layers.
pub const MAX_LAYERS: usize = 128;

impl ModelConfig {
    /// Whether everything after the last layer's attention is needed for the first token only.
    pub fn cls_only(&self) -> bool {
        !matches!(
            self.head,
            Head::Encoder {
                pooling: Pooling::Mean,
                ..
            }
        )
    }

    /// Width of one attention head.
    pub fn head_dim(&self) -> usize {
        self.hidden_size / self.num_attention_heads
    }

    /// Checks that the values make a model.
    ///
    /// # Errors
    /// The name of the field that is wrong, and how.
    pub fn validate(&self) -> Result<(), (&'static str, String)> {
        let within = |name, value: usize, max: usize| match (1..=max).contains(&value) {
            true => Ok(()),
            false => Err((name, format!("{value} is not in 1..={max}"))),
        };
        within("hidden_size", self.hidden_size, MAX_WIDTH)?;
        within("num_hidden_layers", self.num_hidden_layers, MAX_LAYERS)?;
        within(
            "num_attention_heads",
            self.num_attention_heads,
            self.hidden_size,
        )?;
        within("intermediate_size", self.intermediate_size, MAX_WIDTH)?;
        within("vocab_size", self.vocab_size, 1 << 24)?;
        within(
            "max_position_embeddings",
            self.max_position_embeddings,
            1 << 16,
        )?;
        within("type_vocab_size", self.type_vocab_size, 256)?;
        within("max_length", self.max_length, self.max_position_embeddings)?;
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
            Head::Classifier { .. } if self.type_vocab_size < 2 => Err((
                "type_vocab_size",
                "a cross-encoder tells query and passage apart by 2 segments".into(),
            )),
            _ => Ok(()),
        }
    }
}
