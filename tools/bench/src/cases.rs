//! The kernels to measure: every operation at the shapes of three models.

use std::hint::black_box;

use half::f16;
use lanerank::kernels::layout::{PackedFloat, pack_f16, pack_f32};
use lanerank::kernels::peak::Arithmetic;
use lanerank::kernels::{
    Activation, Attention, ClsAttention, Epilogue, GemmFloat, GemmI8, GemmI8A16, Kernels,
    LayerNorm, Rows, RowsI16, RowsU8,
};

use crate::operands::{Bytes, Planes, Weights, floats};

/// Rows of a product: the tokens of a few passages.
pub const ROWS: usize = 256;
/// Tokens of a sequence.
const TOKENS: usize = 128;
/// Rows of a product on first tokens only: one per pair of a batch.
const PAIRS: usize = 3;

/// One call of an operation on its own memory.
pub type Run = Box<dyn FnMut(&Kernels)>;

/// What a call computes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Work {
    /// A number of multiply-adds, half of each kind.
    MultiplyAdds(usize, [Arithmetic; 2]),
    /// A number of floats, and the approximate number of operations per float.
    Floats(usize, usize),
}

/// An operation at a shape.
pub struct Case {
    /// The operation, with its activation if it has one.
    pub op: &'static str,
    /// Its sizes: m x k x n, tokens x heads x head width, or rows x width.
    pub shape: String,
    /// The model that has this shape.
    pub model: &'static str,
    /// What a call computes.
    pub work: Work,
    /// Bytes of all operands and results, each counted once.
    pub bytes: usize,
    prepare: Box<dyn Fn() -> Run>,
}

impl Case {
    /// Allocates and fills the operands.
    pub fn prepare(&self) -> Run {
        (self.prepare)()
    }

    /// Number of multiply-adds or floats.
    pub fn elements(&self) -> usize {
        match self.work {
            Work::MultiplyAdds(count, _) | Work::Floats(count, _) => count,
        }
    }
}

struct Shape {
    model: &'static str,
    hidden: usize,
    heads: usize,
}

/// ms-marco-TinyBERT-L-2-v2, ms-marco-MiniLM-L-12-v2 and ms-marco-MultiBERT-L-12.
const MODELS: [Shape; 3] = [
    Shape {
        model: "tinybert",
        hidden: 128,
        heads: 2,
    },
    Shape {
        model: "minilm12",
        hidden: 384,
        heads: 12,
    },
    Shape {
        model: "multibert",
        hidden: 768,
        heads: 12,
    },
];

/// Every case, smallest model first.
pub fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for model in &MODELS {
        products(model, &mut cases);
        attention(model, &mut cases);
        rounding(model, &mut cases);
        row_wise(model, &mut cases);
        embeddings(model, &mut cases);
    }
    cases
}

/// A matrix product.
#[derive(Clone, Copy)]
pub struct Product {
    /// Rows.
    pub m: usize,
    /// Inputs.
    pub k: usize,
    /// Outputs.
    pub n: usize,
    /// Activation of the outputs.
    pub act: Activation,
}

/// A kind of matrix product.
#[derive(Clone, Copy)]
struct Gemm {
    op: &'static str,
    arithmetic: Arithmetic,
    /// Multiply-adds per weight and row.
    passes: usize,
    /// Bytes per input and per weight.
    element: (usize, usize),
    prepare: fn(Product) -> Run,
}

const I8: Gemm = Gemm {
    op: "gemm_i8",
    arithmetic: Arithmetic::Int8,
    passes: 1,
    element: (1, 1),
    prepare: gemm_i8,
};
const I8_A16: Gemm = Gemm {
    op: "gemm_i8_a16",
    passes: 2,
    element: (2, 1),
    prepare: gemm_i8_a16,
    ..I8
};
const F32: Gemm = Gemm {
    op: "gemm_f32",
    arithmetic: Arithmetic::F32,
    passes: 1,
    element: (4, 4),
    prepare: gemm_f32,
};
const F16: Gemm = Gemm {
    op: "gemm_f16",
    element: (4, 2),
    prepare: gemm_f16,
    ..F32
};

impl Gemm {
    fn named(self, op: &'static str) -> Self {
        Gemm { op, ..self }
    }

    fn case(self, model: &'static str, product: Product) -> Case {
        let Product { m, k, n, .. } = product;
        let (input, weight) = self.element;
        Case {
            op: self.op,
            shape: format!("{m}x{k}x{n}"),
            model,
            work: Work::MultiplyAdds(self.passes * m * n * k, [self.arithmetic; 2]),
            bytes: input * m * k + weight * n * k + 4 * m * n,
            prepare: Box::new(move || (self.prepare)(product)),
        }
    }
}

fn products(&Shape { model, hidden, .. }: &Shape, cases: &mut Vec<Case>) {
    let inner = 4 * hidden;
    let with = |act, m, k, n| Product { m, k, n, act };
    for gemm in [I8, I8_A16, F16, F32] {
        for (k, n) in [
            (hidden, 3 * hidden),
            (hidden, hidden),
            (hidden, inner),
            (inner, hidden),
        ] {
            cases.push(gemm.case(model, with(Activation::None, ROWS, k, n)));
        }
    }
    for (gemm, act) in [
        (I8.named("gemm_i8+gelu_coarse"), Activation::GeluCoarse),
        (
            I8_A16.named("gemm_i8_a16+gelu_coarse"),
            Activation::GeluCoarse,
        ),
        (F32.named("gemm_f32+gelu"), Activation::Gelu),
    ] {
        cases.push(gemm.case(model, with(act, ROWS, hidden, inner)));
    }
    let few = with(Activation::None, PAIRS, hidden, hidden);
    cases.push(I8_A16.case(model, few));
}

/// Layer norm, of `x + delta` where there is a delta.
pub fn layer_norm(tier: &Kernels, x: &mut [f32], delta: Option<&[f32]>, weight: &[f32]) {
    tier.layer_norm(LayerNorm {
        x,
        delta,
        weight,
        bias: weight,
        eps: 1e-12,
    });
}

/// A product with u8 inputs and int8 weights.
fn gemm_i8(product: Product) -> Run {
    gemm_i8_then(product, Activation::None)
}

/// The same, followed by a separate pass over the outputs with the activation `then`.
pub fn gemm_i8_then(Product { m, k, n, act }: Product, then: Activation) -> Run {
    let (weights, bias, mut out) = (Weights::new(n, k), floats(n), vec![0.0; m * n]);
    let mut a = Bytes::new(m, k);
    a.quantize(Kernels::best(), &floats(m * k), None, k);
    Box::new(move |tier| {
        let Bytes { data, params } = black_box(&a);
        tier.gemm_i8(GemmI8 {
            a: RowsU8 { data, params },
            b: weights.view(),
            epilogue: Epilogue { bias: &bias, act },
            out: &mut out,
        });
        if then != Activation::None {
            tier.activate(then, &mut out);
        }
    })
}

fn gemm_i8_a16(Product { m, k, n, act }: Product) -> Run {
    let (weights, bias, mut out) = (Weights::new(n, k), floats(n), vec![0.0; m * n]);
    let mut a = Planes::new(m, k);
    a.quantize(Kernels::best(), &floats(m * k), None, k);
    Box::new(move |tier| {
        let Planes { high, low, scales } = black_box(&a);
        tier.gemm_i8_a16(GemmI8A16 {
            a: RowsI16 { high, low, scales },
            b: weights.view(),
            epilogue: Epilogue { bias: &bias, act },
            out: &mut out,
        });
    })
}

fn gemm_f32(product: Product) -> Run {
    let Product { k, n, .. } = product;
    gemm_float(product, pack_f32(&floats(n * k), n, k), Kernels::gemm_f32)
}

fn gemm_f16(product: Product) -> Run {
    let Product { k, n, .. } = product;
    let values: Vec<f16> = floats(n * k).into_iter().map(f16::from_f32).collect();
    gemm_float(product, pack_f16(&values, n, k), Kernels::gemm_f16)
}

fn gemm_float<T: 'static>(
    Product { m, k, n, act }: Product,
    packed: Vec<T>,
    run: fn(&Kernels, GemmFloat<'_, T>),
) -> Run {
    let (a, bias, mut out) = (floats(m * k), floats(n), vec![0.0; m * n]);
    Box::new(move |tier| {
        let data = black_box(&a);
        let op = GemmFloat {
            a: Rows { data, m, k },
            b: PackedFloat::new(n, k, &packed).expect("packed for this shape"),
            epilogue: Epilogue { bias: &bias, act },
            out: &mut out,
        };
        run(tier, op);
    })
}

fn attention(model: &Shape, cases: &mut Vec<Case>) {
    let &Shape {
        model,
        hidden,
        heads,
    } = model;
    let dim = hidden / heads;
    type Attend = fn(&Kernels, Attention<'_>);
    let ops: [(_, Attend, _); 2] = [
        ("attention", Kernels::attention, [Arithmetic::F32; 2]),
        (
            "attention_i8",
            Kernels::attention_i8,
            [Arithmetic::Int8, Arithmetic::Int16],
        ),
    ];
    for (op, run, arithmetic) in ops {
        cases.push(Case {
            op,
            shape: format!("{TOKENS}x{heads}x{dim}"),
            model,
            work: Work::MultiplyAdds(2 * TOKENS * TOKENS * hidden, arithmetic),
            bytes: 4 * TOKENS * 4 * hidden,
            prepare: Box::new(move || {
                let rows = floats(TOKENS * 3 * hidden);
                let (mut scratch, mut out) = (Vec::new(), vec![0.0; TOKENS * hidden]);
                Box::new(move |tier| {
                    let rows = black_box(&rows);
                    let op = Attention {
                        prefix: &[],
                        rows,
                        heads,
                        head_dim: dim,
                        scratch: &mut scratch,
                        out: &mut out,
                    };
                    run(tier, op);
                })
            }),
        });
    }
    cases.push(Case {
        op: "cls_attention",
        shape: format!("{TOKENS}x{heads}x{hidden}"),
        model,
        work: Work::MultiplyAdds(2 * TOKENS * heads * hidden, [Arithmetic::F32; 2]),
        bytes: 4 * (TOKENS + 2 * heads) * hidden,
        prepare: Box::new(move || {
            let (t, rows) = (floats(heads * hidden), floats(TOKENS * hidden));
            let (mut scratch, mut out) = (Vec::new(), vec![0.0; heads * hidden]);
            Box::new(move |tier| {
                let rows = black_box(&rows);
                tier.cls_attention(ClsAttention {
                    t: &t,
                    prefix: &[],
                    rows,
                    heads,
                    hidden,
                    scratch: &mut scratch,
                    out: &mut out,
                });
            })
        }),
    });
}

/// Adds an operation on rows as wide as the model; it moves `bytes` and does `operations` per
/// value.
fn push_rows(
    cases: &mut Vec<Case>,
    model: &Shape,
    op: &'static str,
    (bytes, operations): (usize, usize),
    prepare: impl Fn(usize) -> Run + 'static,
) {
    let width = model.hidden;
    cases.push(Case {
        op,
        shape: format!("{ROWS}x{width}"),
        model: model.model,
        work: Work::Floats(ROWS * width, operations),
        bytes: bytes * ROWS * width,
        prepare: Box::new(move || prepare(width)),
    });
}

/// Quantisation of activations. Operations of u8: minimum, maximum, product, rounding, zero point,
/// clamp. Of i16: absolute value, maximum, product, rounding.
fn rounding(model: &Shape, cases: &mut Vec<Case>) {
    for (op, operations, scaled) in [("quantize_u8", 6, false), ("quantize_scaled_u8", 7, true)] {
        push_rows(cases, model, op, (5, operations), move |k| {
            let (x, scale) = (floats(ROWS * k), scaled.then(|| floats(k)));
            let mut out = Bytes::new(ROWS, k);
            Box::new(move |tier| out.quantize(tier, black_box(&x), scale.as_deref(), k))
        });
    }
    for (op, operations, scaled) in [("quantize_i16", 4, false), ("quantize_scaled_i16", 5, true)] {
        push_rows(cases, model, op, (6, operations), move |k| {
            let (x, scale) = (floats(ROWS * k), scaled.then(|| floats(k)));
            let mut out = Planes::new(ROWS, k);
            Box::new(move |tier| out.quantize(tier, black_box(&x), scale.as_deref(), k))
        });
    }
}

/// Operations: two sums and the normalisation for layer norm; the terms of the polynomials for
/// softmax and the activations.
fn row_wise(model: &Shape, cases: &mut Vec<Case>) {
    push_rows(cases, model, "layer_norm", (8, 8), |k| {
        let (mut x, weight) = (floats(ROWS * k), floats(k));
        Box::new(move |tier| {
            layer_norm(tier, black_box(&mut x), None, &weight);
        })
    });
    push_rows(cases, model, "add_layer_norm", (12, 9), |k| {
        let (mut x, delta, weight) = (floats(ROWS * k), floats(ROWS * k), floats(k));
        Box::new(move |tier| {
            layer_norm(tier, &mut x, Some(black_box(&delta)), &weight);
        })
    });
    push_rows(cases, model, "softmax", (8, 18), |k| {
        let mut x = floats(ROWS * k);
        Box::new(move |tier| {
            let rows = black_box(&mut x).chunks_exact_mut(k);
            rows.for_each(|row| tier.softmax(row));
        })
    });
    for (op, operations, act) in [
        ("gelu", 29, Activation::Gelu),
        ("gelu_coarse", 16, Activation::GeluCoarse),
        ("gelu_tanh", 25, Activation::GeluTanh),
        ("relu", 1, Activation::Relu),
        ("tanh", 20, Activation::Tanh),
    ] {
        // A fresh copy each time: repeated on their own results, some would reach subnormals.
        push_rows(cases, model, op, (16, operations), move |k| {
            let (x, mut out) = (floats(ROWS * k), vec![0.0; ROWS * k]);
            Box::new(move |tier| {
                out.copy_from_slice(black_box(&x));
                tier.activate(act, &mut out);
            })
        });
    }
    push_rows(cases, model, "dot", (4, 2), |k| {
        let (x, y) = (floats(ROWS * k), floats(k));
        Box::new(move |tier| {
            let rows = black_box(&x).chunks_exact(k);
            black_box(rows.map(|row| tier.dot(row, &y)).sum::<f32>());
        })
    });
}

fn embeddings(model: &Shape, cases: &mut Vec<Case>) {
    push_rows(cases, model, "add_scaled_i8", (9, 2), |k| {
        let (row, mut out) = (vec![3; ROWS * k], floats(ROWS * k));
        Box::new(move |tier| {
            let rows = black_box(&row).chunks_exact(k);
            for (row, out) in rows.zip(out.chunks_exact_mut(k)) {
                tier.add_scaled_i8(row, 0.01, out);
            }
        })
    });
    push_rows(cases, model, "widen_f16", (6, 1), |k| {
        let (x, mut out) = (vec![f16::ONE; ROWS * k], vec![0.0; ROWS * k]);
        Box::new(move |tier| tier.widen_f16(black_box(&x), &mut out))
    });
}
