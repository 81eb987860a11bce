//! The least time of a request's arithmetic.

use lanerank::kernels::peak::Arithmetic;
use lanerank::model::architectures::schema;
use lanerank::model::{Activations, ModelConfig, Precision};
use lanerank::schema::{Extent, Step};

use crate::peaks::Peaks;

/// Multiply-adds of one request to a model with int8 weights, by kind.
#[derive(Debug, Default, PartialEq)]
struct Counts {
    int8: u64,
    int16: u64,
    f32: u64,
}

fn count(
    config: &ModelConfig,
    activations: Activations,
    lengths: &[usize],
    prefix: usize,
) -> Counts {
    let sum = |of: fn(usize, usize) -> usize| {
        lengths
            .iter()
            .map(|&length| of(length, prefix) as u64)
            .sum()
    };
    let own: u64 = sum(|length, prefix| length - prefix.min(length));
    let extent = Extent {
        sequences: lengths.len() as u64,
        tokens: sum(|length, _| length),
        own: own + prefix as u64,
        squares: sum(|length, _| length * length),
    };
    let mut counts = Counts::default();
    for (step, cost) in schema(config).steps(extent) {
        match step {
            Step::Product(matrix) => {
                let precision = matrix.map_or(Precision::Sixteen, |m| activations.of(m));
                // 16 bits are two products.
                counts.int8 += match precision {
                    Precision::Eight => cost,
                    Precision::Sixteen => 2 * cost,
                };
            }
            // Scores of bytes, means of 16 bits.
            Step::Attention => {
                counts.int8 += cost / 2;
                counts.int16 += cost / 2;
            }
            Step::FirstTokenAttention => counts.f32 += cost,
        }
    }
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
    let of = |count: u64, kind| Some(2e-6 * count as f64 / peaks.gops(kind)?);
    Some(
        of(counts.int8, Arithmetic::Int8)?
            + of(counts.int16, Arithmetic::Int16)?
            + of(counts.f32, Arithmetic::F32)?,
    )
}

#[cfg(test)]
mod tests {
    use lanerank::model::{Activation, Architecture, Head};

    use super::*;

    #[test]
    fn counts_by_hand() {
        let config = ModelConfig {
            architecture: Architecture::Bert,
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
