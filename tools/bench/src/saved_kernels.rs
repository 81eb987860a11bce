//! The kernels of a layer, and slower ways to do the same work.

use std::hint::black_box;

use lanerank::kernels::{self, Activation, Kernels};

use crate::cases::{Product, ROWS, Run, gemm_i8_then, layer_norm};
use crate::operands::floats;

/// A call, and the number of such calls per layer.
pub type Calls = (Run, f64);

/// Attention in floats or in integers.
pub type Attention = fn(&Kernels, kernels::Attention<'_>);

/// The sequences of a request in a layer.
pub struct Sequences {
    /// Width of a token's vector.
    pub hidden: usize,
    /// Heads of attention.
    pub heads: usize,
    /// Width of the feed-forward layer.
    pub inner: usize,
    /// Tokens of each sequence.
    pub lengths: Vec<usize>,
}

impl Sequences {
    fn batches(&self) -> f64 {
        self.lengths.iter().sum::<usize>() as f64 / ROWS as f64
    }

    /// The first product of the feed-forward part, with `act` in its epilogue and `then` in a
    /// separate pass after it.
    pub fn intermediate(&self, act: Activation, then: Activation) -> Calls {
        let product = Product {
            m: ROWS,
            k: self.hidden,
            n: self.inner,
            act,
        };
        (gemm_i8_then(product, then), self.batches())
    }

    /// Residual and layer norm in one pass.
    pub fn add_norm(&self) -> Calls {
        let k = self.hidden;
        let (mut x, delta, weight) = (floats(ROWS * k), floats(ROWS * k), floats(k));
        let run = move |tier: &Kernels| {
            layer_norm(tier, &mut x, Some(black_box(&delta)), &weight);
        };
        (Box::new(run), 2.0 * self.batches())
    }

    /// Residual and layer norm in two passes.
    pub fn add_norm_apart(&self) -> Calls {
        let k = self.hidden;
        let (mut x, delta, weight) = (floats(ROWS * k), floats(ROWS * k), floats(k));
        let run = move |tier: &Kernels| {
            for (x, delta) in x.iter_mut().zip(black_box(&delta)) {
                *x += delta;
            }
            layer_norm(tier, black_box(&mut x), None, &weight);
        };
        (Box::new(run), 2.0 * self.batches())
    }

    /// Attention of each sequence.
    pub fn attention(&self, attend: Attention) -> Calls {
        let (hidden, heads, lengths) = (self.hidden, self.heads, self.lengths.clone());
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let (rows, mut out) = (floats(longest * 3 * hidden), vec![0.0; longest * hidden]);
        let mut scratch = Vec::new();
        let run = move |tier: &Kernels| {
            for &length in &lengths {
                let rows = black_box(&rows[..length * 3 * hidden]);
                let op = kernels::Attention {
                    prefix: &[],
                    rows,
                    heads,
                    head_dim: hidden / heads,
                    scratch: &mut scratch,
                    out: &mut out[..length * hidden],
                };
                attend(tier, op);
            }
        };
        (Box::new(run), 1.0)
    }
}
