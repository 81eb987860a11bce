//! What the values of a graph mean, in the words of a BERT forward pass.

use std::rc::Rc;
use std::sync::Arc;

use super::matrix::Matrix;
use super::tensor::Tensor;

/// Number of a term in [`Terms`].
pub type Id = usize;

/// One of the four axes of a tensor of attention heads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Axis {
    Batch,
    Token,
    Head,
    Dim,
}

/// The order in which a linear layer's output splits into heads.
pub const SPLIT: [Axis; 4] = [Axis::Batch, Axis::Token, Axis::Head, Axis::Dim];
/// The order in which heads are multiplied.
pub const BY_HEAD: [Axis; 4] = [Axis::Batch, Axis::Head, Axis::Token, Axis::Dim];
/// The order of keys in `q k^T`.
pub const KEYS: [Axis; 4] = [Axis::Batch, Axis::Head, Axis::Dim, Axis::Token];

/// A softmax's input: queries, keys and what the products are multiplied by.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    pub q: Id,
    pub k: Id,
    pub heads: usize,
    pub scale: f64,
    /// Whether tokens out of the attention mask were taken out.
    pub masked: bool,
}

/// What a value is.
#[expect(
    clippy::large_enum_variant,
    reason = "a few hundred of them, for a moment"
)]
#[derive(Debug, Clone, PartialEq)]
pub enum Term {
    /// Sum of the rows of some of the tables.
    Embeddings {
        word: Option<Matrix>,
        position: Option<Matrix>,
        segment: Option<Matrix>,
    },
    /// Mean of each row, variance of each row.
    Mean(Id),
    Variance(Id),
    /// Rows less their means.
    Centered(Id),
    /// Rows at mean 0 and variance 1.
    Normal {
        x: Id,
        eps: f32,
    },
    /// The same times a scale a channel.
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
    /// Sum of two different terms, the smaller number first.
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
    /// Values mixed by probabilities, heads side by side.
    Attention {
        scores: Scores,
        v: Id,
    },
    /// The first token's row of each sequence.
    First(Id),
    /// Rounded to 8 bits with a scale and zero point found at run time, and those.
    Quantized(Id),
    QuantizedScale(Id),
    QuantizedZero(Id),
    /// Rounded to 8 bits with a scale and zero point of the file.
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
pub struct Terms {
    terms: Vec<Term>,
    /// The node that made each first.
    makers: Vec<Rc<str>>,
    maker: Option<Rc<str>>,
}

impl Terms {
    /// The term with this number.
    pub fn get(&self, id: Id) -> &Term {
        &self.terms[id]
    }

    /// The node that made a term.
    pub fn maker(&self, id: Id) -> &str {
        &self.makers[id]
    }

    /// Says which node makes the terms that follow.
    pub fn at(&mut self, node: String) {
        self.maker = Some(node.into());
    }

    /// The number of a term.
    pub fn put(&mut self, term: Term) -> Id {
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

    /// A term as a function of another, trivially of itself.
    pub fn function(&self, id: Id) -> (Id, Samples) {
        match self.get(id) {
            Term::Pointwise { x, f } => (*x, f.clone()),
            _ => (id, Samples::identity()),
        }
    }

    /// A term as a multiple of another.
    pub fn multiple(&self, id: Id) -> Option<(Id, f64)> {
        let (x, f) = self.function(id);
        f.factor().map(|factor| (x, factor))
    }
}

/// Where functions are compared: on both sides of 0, dense where activations differ.
const POINTS: [f64; 20] = [
    -9.0, -5.0, -3.5, -2.8, -2.2, -1.7, -1.3, -0.9, -0.5, -0.1, 0.0, 0.2, 0.6, 1.0, 1.5, 1.9, 2.4,
    3.0, 4.2, 8.0,
];

/// A function of one number, known by its values at [`POINTS`].
///
/// Exports write an activation in many ways; what they compute is the same.
#[derive(Debug, Clone)]
pub struct Samples([f64; POINTS.len()]);

impl PartialEq for Samples {
    fn eq(&self, other: &Self) -> bool {
        self.0
            .iter()
            .zip(&other.0)
            .all(|(a, b)| a.to_bits() == b.to_bits())
    }
}

impl Samples {
    /// The function that changes nothing.
    pub fn identity() -> Self {
        Samples(POINTS)
    }

    /// The function applied to this one's values.
    pub fn then(&self, f: impl Fn(f64) -> f64) -> Self {
        Samples(self.0.map(f))
    }

    /// Two functions' values joined.
    pub fn with(&self, other: &Self, f: impl Fn(f64, f64) -> f64) -> Self {
        Samples(std::array::from_fn(|i| f(self.0[i], other.0[i])))
    }

    fn is_identity(&self) -> bool {
        self.0 == POINTS
    }

    /// Whether this is `f` within `tolerance`, relative to values beyond 1. Points at which `f` is
    /// not defined do not count.
    pub fn is(&self, f: impl Fn(f64) -> f64, tolerance: f64) -> bool {
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
    pub fn deviation(&self) -> Option<f32> {
        let zero = POINTS.iter().position(|&p| p == 0.0)?;
        let eps = self.0[zero].powi(2);
        let root = |t: f64| (t + eps).sqrt();
        (eps.is_finite() && eps < 0.1 && self.is(root, 1e-6)).then_some(eps as f32)
    }
}
