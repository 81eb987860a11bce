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
    /// Pooler (dense + tanh on [CLS]) and classifier: a cross-encoder with this many logits.
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
