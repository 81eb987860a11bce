//! Inputs for tracing a graph, and the values that masks and positions must have on them.

use std::sync::Arc;

use super::graph::{Graph, Port};
use super::tensor::{Tensor, broadcast_places, elements};

/// Sequences of token ids of different lengths, with two segments each.
#[derive(Debug, Clone)]
pub(super) struct Probe {
    pub batch: usize,
    pub len: usize,
    /// Real tokens of each sequence. Padding follows.
    pub lengths: Vec<usize>,
    pub ids: Arc<[i64]>,
    pub types: Arc<[i64]>,
    pub mask: Arc<[i64]>,
}

/// The meaning of a graph's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Feed {
    Ids,
    Mask,
    Types,
    Positions,
}

impl Feed {
    /// The meaning of the input with this name.
    pub(super) fn of(port: &Port) -> Result<Self, String> {
        let name = port.name.to_ascii_lowercase();
        match () {
            () if name.contains("mask") => Ok(Feed::Mask),
            () if name.contains("type") || name.contains("segment") => Ok(Feed::Types),
            () if name.contains("position") => Ok(Feed::Positions),
            () if name.contains("ids") => Ok(Feed::Ids),
            () => Err(format!(
                "input {:?}: not one of BERT's (input_ids, attention_mask, token_type_ids)",
                port.name
            )),
        }
    }
}

impl Probe {
    /// Sequences of different lengths. The graph may fix the shape.
    pub(super) fn new(graph: &Graph, batch: usize, len: usize) -> Result<Self, String> {
        let (_, len) = fixed(graph, batch, len)?;
        // Long sequences cost the square of their length.
        let (batch, len) = fixed(graph, if len > 64 { 2 } else { batch }, len)?;
        let lengths: Vec<usize> = (0..batch).map(|b| (len - (b * 3) % len).max(1)).collect();
        let token = |b: usize, i: usize| {
            if i < lengths[b] {
                (1 + (b * 5 + i * 7) % 11) as i64
            } else {
                0
            }
        };
        let rows = |f: &dyn Fn(usize, usize) -> i64| {
            (0..batch)
                .flat_map(|b| (0..len).map(move |i| (b, i)))
                .map(|(b, i)| f(b, i))
                .collect()
        };
        Ok(Probe {
            ids: rows(&token),
            // Not a function of the position alone.
            types: rows(&|b, i| i64::from(i > b % 2 && i < lengths[b])),
            mask: rows(&|b, i| i64::from(i < lengths[b])),
            batch,
            len,
            lengths,
        })
    }

    /// One sequence, padded and repeated if the graph fixes the shape.
    pub(super) fn of_tokens(graph: &Graph, ids: &[u32], types: &[u8]) -> Result<Self, String> {
        let (batch, len) = fixed(graph, 1, ids.len())?;
        if ids.len() > len {
            return Err(format!("{} tokens for a graph that takes {len}", ids.len()));
        }
        let padded = |values: &mut dyn Iterator<Item = i64>| -> Arc<[i64]> {
            let mut row: Vec<i64> = values.collect();
            row.resize(len, 0);
            row.iter().copied().cycle().take(batch * len).collect()
        };
        Ok(Probe {
            ids: padded(&mut ids.iter().map(|&id| i64::from(id))),
            types: padded(&mut types.iter().map(|&t| i64::from(t))),
            mask: padded(&mut ids.iter().map(|_| 1)),
            lengths: vec![ids.len(); batch],
            batch,
            len,
        })
    }

    /// The value of an input.
    pub(super) fn feed(&self, port: &Port) -> Result<Tensor, String> {
        let values = match Feed::of(port)? {
            Feed::Ids => self.ids.clone(),
            Feed::Mask => self.mask.clone(),
            Feed::Types => self.types.clone(),
            Feed::Positions => (0..self.batch * self.len)
                .map(|i| (i % self.len) as i64)
                .collect(),
        };
        let shape = [self.batch, self.len];
        match port.element {
            Some(element) if element.is_float() => Ok(Tensor::floats(
                &shape,
                values.iter().map(|&v| v as f32).collect(),
            )),
            _ => Tensor::ints(&[values.len()], values.to_vec()).with_shape(&shape),
        }
    }

    /// Whether a tensor has one number per token and these are `expected`.
    pub(super) fn is_per_token(&self, x: &Tensor, expected: &[i64]) -> bool {
        x.shape == [self.batch, self.len] && x.to_ints().is_ok_and(|v| *v == *expected)
    }

    /// Whether these are the positions of tokens in their sequences, once or for each sequence.
    pub(super) fn are_positions(&self, x: &Tensor) -> bool {
        let counts = |v: &Arc<[i64]>| {
            v.iter()
                .enumerate()
                .all(|(i, &v)| v == (i % self.len) as i64)
        };
        let shape = matches!(&x.shape[..], [l] | [1, l] if *l == self.len)
            || x.shape == [self.batch, self.len];
        shape && x.to_ints().is_ok_and(|v| counts(&v))
    }

    /// Whether positions start at 2, as in RoBERTa.
    pub(super) fn are_shifted_positions(&self, x: &Tensor) -> bool {
        x.shape.last() == Some(&self.len) && x.to_ints().is_ok_and(|v| v.starts_with(&[2, 3, 4]))
    }

    /// Whether adding this to scores `[batch, heads, len, len]` keeps those of real tokens and
    /// removes padding. The rows of padding tokens do not matter.
    pub(super) fn check_mask(&self, x: &Tensor, heads: usize) -> Result<(), String> {
        let scores = [self.batch, heads, self.len, self.len];
        elements(&scores)?;
        let fits = x.shape.len() <= 4
            && x.shape
                .iter()
                .rev()
                .zip(scores.iter().rev())
                .all(|(&d, &s)| d == s || d == 1);
        if !fits {
            return Err(format!("adds {:?} to scores of shape {scores:?}", x.shape));
        }
        let values = x.to_floats();
        for (i, place) in broadcast_places(&x.shape, &scores).enumerate() {
            let (column, row) = (i % self.len, i / self.len % self.len);
            let length = self.lengths[i / (self.len * self.len * heads)];
            if row >= length {
                continue;
            }
            let value = values[place];
            match (column < length, value) {
                (true, 0.0) => (),
                (false, v) if v <= -1000.0 => (),
                (true, v) if v <= -1000.0 && column > row => {
                    return Err(
                        "a token does not see later ones: decoders are not supported; use a \
                         BERT cross-encoder"
                            .into(),
                    );
                }
                (true, v) => {
                    return Err(format!(
                        "adds {v} to the score of a token: attention biases (ALiBi, relative \
                         positions) are not supported; use a model with absolute positions"
                    ));
                }
                (false, v) => {
                    return Err(format!(
                        "adds {v} to the score of a padding token, which does not take it out"
                    ));
                }
            }
        }
        Ok(())
    }

    /// Whether this is a mask of onnxruntime's operators: one number per token, or the length of
    /// each sequence.
    pub(super) fn is_token_mask(&self, x: &Tensor) -> bool {
        let lengths = || self.lengths.iter().map(|&n| n as i64);
        self.is_per_token(x, &self.mask)
            || x.shape == [self.batch] && x.to_ints().is_ok_and(|v| v.iter().copied().eq(lengths()))
    }
}

/// Batch and length, with those that the graph fixes.
fn fixed(graph: &Graph, mut batch: usize, mut len: usize) -> Result<(usize, usize), String> {
    for port in &graph.inputs {
        match &port.shape[..] {
            [b, l] => {
                batch = b.unwrap_or(batch);
                len = l.unwrap_or(len);
            }
            [] => (),
            _ => return Err(format!("input {:?} has not two dimensions", port.name)),
        }
    }
    if batch <= 64 && len <= 1 << 16 {
        Ok((batch, len))
    } else {
        Err(format!("inputs of {batch} x {len} tokens"))
    }
}
