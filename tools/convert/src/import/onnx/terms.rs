//! Meanings of a graph's values, as parts of a BERT forward pass.

use std::rc::Rc;
use std::sync::Arc;

use super::matrix::Matrix;
use super::tensor::Tensor;

/// Index of a term in [`Terms`].
pub(super) type Id = usize;

/// One of the four axes of a tensor of attention heads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Axis {
    Batch,
    Token,
    Head,
    Dim,
}

/// The axis order after a linear layer's output is split into heads.
pub(super) const SPLIT: [Axis; 4] = [Axis::Batch, Axis::Token, Axis::Head, Axis::Dim];
/// The axis order for multiplying heads.
pub(super) const BY_HEAD: [Axis; 4] = [Axis::Batch, Axis::Head, Axis::Token, Axis::Dim];
/// The axis order of keys in `q k^T`.
pub(super) const KEYS: [Axis; 4] = [Axis::Batch, Axis::Head, Axis::Dim, Axis::Token];

/// The input of a softmax: queries, keys and the factor of their products.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scores {
    pub q: Id,
    pub k: Id,
    pub heads: usize,
    pub scale: f64,
    /// Whether the attention mask was applied.
    pub masked: bool,
}

/// The meaning of a value.
#[expect(
    clippy::large_enum_variant,
    reason = "a few hundred of them, for a moment"
)]
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Term {
    /// Sum of rows of some embedding tables.
    Embeddings {
        word: Option<Matrix>,
        position: Option<Matrix>,
        segment: Option<Matrix>,
    },
    /// Mean of each row, or variance of each row.
    Mean(Id),
    Variance(Id),
    /// Rows minus their means.
    Centered(Id),
    /// Rows with mean 0 and variance 1.
    Normal {
        x: Id,
        eps: f32,
    },
    /// The same times a scale per channel.
    Scaled {
        x: Id,
        eps: f32,
        scale: Arc<[f32]>,
    },
    /// Layer norm.
    Norm {
        x: Id,
        eps: f32,
        scale: Arc<[f32]>,
        bias: Arc<[f32]>,
    },
    /// `x weight^T + bias`; the weight is `[out, in]`.
    Linear {
        x: Id,
        weight: Matrix,
        bias: Option<Arc<[f32]>>,
    },
    /// Sum of two different terms, the smaller index first.
    Sum(Id, Id),
    /// A function of each element.
    Pointwise {
        x: Id,
        f: Samples,
    },
    /// Rows split into heads, times a factor.
    Heads {
        x: Id,
        heads: usize,
        order: [Axis; 4],
        scale: f64,
    },
    Scores(Scores),
    Probabilities(Scores),
    /// Where another term is not a number.
    NotANumber(Id),
    /// Values weighted by probabilities, heads side by side.
    Attention {
        scores: Scores,
        v: Id,
    },
    /// The row of each sequence's first token.
    First(Id),
    /// Values rounded to 8 bits with a scale and zero point found at run time, and these two.
    Quantized(Id),
    QuantizedScale(Id),
    QuantizedZero(Id),
    /// Rounded to 8 bits with a scale and zero point from the file.
    Rounded {
        x: Id,
        scale: Tensor,
        zero: Option<Tensor>,
    },
    /// The scale found at run time times the weight's.
    ScaleProduct {
        x: Id,
        scale: Tensor,
    },
    /// Integer products with a weight that has no scale yet.
    Products {
        x: Id,
        weight: Matrix,
    },
}

/// All terms of a graph, each once.
#[derive(Default)]
pub(super) struct Terms {
    terms: Vec<Term>,
    /// The node that made each term first.
    makers: Vec<Rc<str>>,
    maker: Option<Rc<str>>,
}

impl Terms {
    /// The term with this index.
    pub(super) fn get(&self, id: Id) -> &Term {
        &self.terms[id]
    }

    /// The node that made a term.
    pub(super) fn maker(&self, id: Id) -> &str {
        &self.makers[id]
    }

    /// Sets the node for the terms that follow.
    pub(super) fn at(&mut self, node: String) {
        self.maker = Some(node.into());
    }

    /// The index of a term.
    pub(super) fn put(&mut self, term: Term) -> Id {
        if let Term::Pointwise { x, f } = &term
            && f.is_identity()
        {
            return *x;
        }
        match self.terms.iter().position(|other| *other == term) {
            Some(id) => id,
            None => {
                self.terms.push(term);
                self.makers.push(self.maker.clone().unwrap_or_default());
                self.terms.len() - 1
            }
        }
    }

    /// A term as a function of another; at least the identity of itself.
    pub(super) fn function(&self, id: Id) -> (Id, Samples) {
        match self.get(id) {
            Term::Pointwise { x, f } => (*x, f.clone()),
            _ => (id, Samples::identity()),
        }
    }

    /// A term as a multiple of another.
    pub(super) fn multiple(&self, id: Id) -> Option<(Id, f64)> {
        let (x, f) = self.function(id);
        f.factor().map(|factor| (x, factor))
    }
}

/// Points for comparing functions: on both sides of 0, dense where activations differ.
const POINTS: [f64; 20] = [
    -9.0, -5.0, -3.5, -2.8, -2.2, -1.7, -1.3, -0.9, -0.5, -0.1, 0.0, 0.2, 0.6, 1.0, 1.5, 1.9, 2.4,
    3.0, 4.2, 8.0,
];

/// A function of one number, represented by its values at [`POINTS`].
///
/// Exporters write an activation in many ways with the same result.
#[derive(Debug, Clone)]
pub(super) struct Samples([f64; POINTS.len()]);

impl PartialEq for Samples {
    fn eq(&self, other: &Self) -> bool {
        self.0
            .iter()
            .zip(&other.0)
            .all(|(a, b)| a.to_bits() == b.to_bits())
    }
}

impl Samples {
    /// The identity.
    pub(super) fn identity() -> Self {
        Samples(POINTS)
    }

    /// This function followed by `f`.
    pub(super) fn then(&self, f: impl Fn(f64) -> f64) -> Self {
        Samples(self.0.map(f))
    }

    /// Combines two functions' values.
    pub(super) fn with(&self, other: &Self, f: impl Fn(f64, f64) -> f64) -> Self {
        Samples(std::array::from_fn(|i| f(self.0[i], other.0[i])))
    }

    fn is_identity(&self) -> bool {
        self.0 == POINTS
    }

    /// Whether this is `f` within `tolerance`, relative to values above 1. Points where `f` is not
    /// defined are ignored.
    pub(super) fn is(&self, f: impl Fn(f64) -> f64, tolerance: f64) -> bool {
        let close = |(&value, &point): (&f64, &f64)| {
            let expected = f(point);
            expected.is_nan() || (value - expected).abs() <= tolerance * expected.abs().max(1.0)
        };
        self.0.iter().zip(&POINTS).all(close)
    }

    /// The factor, if this is a multiplication.
    fn factor(&self) -> Option<f64> {
        let one = POINTS.iter().position(|&p| p == 1.0)?;
        let factor = self.0[one];
        let exact = |(&value, &point): (&f64, &f64)| {
            (value - factor * point).abs() <= 1e-6 * (factor * point).abs()
        };
        self.0.iter().zip(&POINTS).all(exact).then_some(factor)
    }

    /// Epsilon, if this is `sqrt(t + eps)`.
    pub(super) fn deviation(&self) -> Option<f32> {
        let zero = POINTS.iter().position(|&p| p == 0.0)?;
        let eps = self.0[zero].powi(2);
        let root = |t: f64| (t + eps).sqrt();
        (eps.is_finite() && eps < 0.1 && self.is(root, 1e-6)).then_some(eps as f32)
    }
}
