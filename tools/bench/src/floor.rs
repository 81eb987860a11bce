//! The least time of a request's arithmetic.

use lanerank::kernels::peak::Arithmetic;
use lanerank::model::{Activations, Matrix, ModelConfig, Precision};

use crate::peaks::Peaks;

/// Multiply-adds of one request to a cross-encoder with int8 weights, by kind.
#[derive(Debug, Default, PartialEq)]
struct Counts {
    int8: usize,
    int16: usize,
    f32: usize,
}

fn count(
    config: &ModelConfig,
    activations: Activations,
    lengths: &[usize],
    prefix: usize,
) -> Counts {
    let (h, inner) = (config.hidden_size, config.intermediate_size);
    let passes = |matrix| match activations.of(matrix) {
        Precision::Eight => 1,
        Precision::Sixteen => 2,
    };
    let tokens: usize = lengths.iter().sum();
    let own: usize = lengths
        .iter()
        .map(|length| length - prefix.min(*length))
        .sum();
    let mut counts = Counts::default();
    for layer in 1..config.num_hidden_layers {
        // The first layer projects the common prefix once for all pairs.
        let projected = if layer == 1 { own + prefix } else { tokens };
        counts.int8 += projected * 3 * h * h * passes(Matrix::AttentionQkv)
            + tokens * h * h * passes(Matrix::AttentionOutput)
            + tokens * h * inner * (passes(Matrix::FfnIntermediate) + passes(Matrix::FfnOutput));
        // Scores are products of bytes, contexts of 16 bits.
        let attended = lengths
            .iter()
            .map(|length| length * length * h)
            .sum::<usize>();
        counts.int8 += attended;
        counts.int16 += attended;
    }
    // Last layer and pooler on the first token, 16 bits: query, key, value, output, pooler; then
    // the feed-forward part.
    counts.int8 += lengths.len() * 2 * (5 * h * h + 2 * h * inner);
    counts.f32 += tokens * 2 * config.num_attention_heads * h;
    counts
}

/// Milliseconds of a request's multiply-adds at a tier's peaks, on one thread. `lengths`: tokens of
/// each pair; `prefix`: tokens that all pairs share. `None` if a peak is missing.
pub fn ms(
    config: &ModelConfig,
    activations: Activations,
    lengths: &[usize],
    prefix: usize,
    peaks: &Peaks,
) -> Option<f64> {
    let counts = count(config, activations, lengths, prefix);
    let of = |count: usize, kind| Some(2e-6 * count as f64 / peaks.gops(kind)?);
    Some(
        of(counts.int8, Arithmetic::Int8)?
            + of(counts.int16, Arithmetic::Int16)?
            + of(counts.f32, Arithmetic::F32)?,
    )
}

#[cfg(test)]
mod tests {
    use lanerank::model::{Activation, Head};

    use super::*;

    #[test]
    fn counts_by_hand() {
        let config = ModelConfig {
            hidden_size: 4,
            num_hidden_layers: 3,
            num_attention_heads: 2,
            intermediate_size: 8,
            vocab_size: 9,
            max_position_embeddings: 16,
            type_vocab_size: 2,
            hidden_act: Activation::Gelu,
            layer_norm_eps: 1e-12,
            head: Head::Classifier { num_labels: 1 },
            max_length: 16,
        };
        let counts = count(&config, Activations::default(), &[5, 7], 3);
        // 12 tokens, 6 of them after the prefix.
        let first = (6 + 3) * 48 + 12 * (16 + 64);
        let second = 12 * (48 + 16 + 64);
        let last = 2 * 2 * (80 + 64);
        let expected = Counts {
            int8: first + second + last + 2 * (25 + 49) * 4,
            int16: 2 * (25 + 49) * 4,
            f32: 12 * 2 * 2 * 4,
        };
        assert_eq!(counts, expected);
    }
}
