//! From the terms of a graph's output to BERT's tensors. The terms must be those of a whole forward
//! pass, from the logits or the last layer down to the embeddings.
//!
//! Tensors get the names of BERT's schema; the converter refuses a set that lacks one.

use std::collections::BTreeMap;
use std::sync::Arc;

use lanerank::model::Activation;

use super::eval::{gelu, gelu_tanh};
use super::matrix::Matrix;
use super::terms::{Id, Samples, Scores, Term, Terms};
use super::trace::Trace;

/// Largest difference between a graph's activation and the function it is identified with. Graphs
/// in f16 round its constants; GELU and its tanh form differ by up to 4.7e-4.
const TOLERANCE: f64 = 1.5e-4;

/// A tensor of the graph.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Role {
    /// A linear layer's weight `[out, in]`, or a table.
    Matrix(Matrix),
    /// A bias, or a layer norm's scale.
    Vector(Arc<[f32]>),
}

/// What follows the layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Top {
    /// Pooler and classifier with this many logits.
    Logits(usize),
    /// Nothing: the vectors of all tokens.
    Tokens,
}

/// A whole BERT.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Roles {
    /// By the schema's names.
    pub tensors: BTreeMap<String, Role>,
    pub top: Top,
    pub hidden: usize,
    pub layers: usize,
    pub heads: usize,
    pub activation: Activation,
    pub eps: f32,
    /// Whether token types select the segment embeddings.
    pub reads_types: bool,
}

/// Reads a traced output.
///
/// # Errors
/// Names the node whose value differs from BERT's in its place.
pub(crate) fn roles(trace: &Trace, output: Id, shape: &[usize]) -> Result<Roles, String> {
    let mut walk = Walk {
        terms: &trace.terms,
        tensors: BTreeMap::new(),
        layers: Vec::new(),
        eps: None,
        heads: None,
        activation: None,
    };
    let (top, hidden) = walk.top(output)?;
    let (batch, len) = (trace.probe.batch, trace.probe.len);
    let mut x = hidden;
    while let Some(below) = walk.layer(x)? {
        x = below;
    }
    let width = walk.embeddings(x)?;
    let expected = match top {
        Top::Logits(labels) => vec![batch, labels],
        Top::Tokens => vec![batch, len, width],
    };
    if shape != expected {
        return Err(format!("the output has shape {shape:?}, not {expected:?}"));
    }
    walk.name_layers();
    let found = "a graph without layers";
    Ok(Roles {
        top,
        hidden: width,
        layers: walk.layers.len(),
        heads: walk.heads.ok_or(found)?,
        activation: walk.activation.ok_or(found)?,
        eps: walk.eps.ok_or(found)?,
        reads_types: trace.reads_types,
        tensors: walk.tensors,
    })
}

struct Walk<'a> {
    terms: &'a Terms,
    tensors: BTreeMap<String, Role>,
    /// From the top down.
    layers: Vec<Vec<(&'static str, Role)>>,
    eps: Option<f32>,
    heads: Option<usize>,
    activation: Option<Activation>,
}

/// A linear layer taken apart.
struct Linear {
    x: Id,
    weight: Matrix,
    bias: Arc<[f32]>,
}

impl Walk<'_> {
    fn wrong<T>(&self, id: Id, reason: &str) -> Result<T, String> {
        Err(format!("{}: {reason}", self.terms.maker(id)))
    }

    fn linear(&self, id: Id, what: &str) -> Result<Linear, String> {
        match self.terms.get(id) {
            Term::Linear { x, weight, bias } => Ok(Linear {
                x: *x,
                bias: bias
                    .clone()
                    .unwrap_or_else(|| vec![0.0; weight.shape()[0]].into()),
                weight: weight.clone(),
            }),
            _ => self.wrong(id, &format!("not {what}")),
        }
    }

    fn put_linear(&mut self, name: &str, linear: Linear) {
        self.tensors
            .insert(format!("{name}.weight"), Role::Matrix(linear.weight));
        self.tensors
            .insert(format!("{name}.bias"), Role::Vector(linear.bias));
    }

    /// Reads the head. Returns its input.
    fn top(&mut self, output: Id) -> Result<(Top, Id), String> {
        if matches!(self.terms.get(output), Term::Norm { .. }) {
            return Ok((Top::Tokens, output));
        }
        let classifier = self.linear(
            output,
            "a classifier's logits, nor the last layer's vectors",
        )?;
        let labels = classifier.weight.shape()[0];
        let Term::Pointwise { x, f } = self.terms.get(classifier.x) else {
            return self.wrong(output, "a classifier on something else than BERT's pooler");
        };
        if !f.is(f64::tanh, TOLERANCE) {
            return self.wrong(
                classifier.x,
                "a head with another activation than tanh is not supported (ELECTRA's has GELU: \
                 use its safetensors or pytorch_model.bin); use a BERT cross-encoder",
            );
        }
        let pooler = self.linear(*x, "BERT's pooler")?;
        let &Term::First(hidden) = self.terms.get(pooler.x) else {
            return self.wrong(*x, "a pooler on something else than the first token");
        };
        self.put_linear("pooler.dense", pooler);
        self.put_linear("classifier", classifier);
        Ok((Top::Logits(labels), hidden))
    }

    fn norm(&mut self, id: Id) -> Result<(Id, [Role; 2]), String> {
        match self.terms.get(id) {
            Term::Norm {
                x,
                eps,
                scale,
                bias,
            } => {
                if *self.eps.get_or_insert(*eps) != *eps {
                    return self.wrong(id, &format!("epsilon {eps} after another in other norms"));
                }
                Ok((
                    *x,
                    [Role::Vector(scale.clone()), Role::Vector(bias.clone())],
                ))
            }
            _ => self.wrong(id, "not a layer norm"),
        }
    }

    /// Splits `linear(..) + rest`; `fits` says which of the two is the linear layer.
    fn residual(&self, id: Id, fits: impl Fn(&Linear) -> bool) -> Result<(Linear, Id), String> {
        let &Term::Sum(a, b) = self.terms.get(id) else {
            return self.wrong(id, "not the sum of a layer's output and its input");
        };
        for (layer, rest) in [(a, b), (b, a)] {
            if let Ok(linear) = self.linear(layer, "")
                && fits(&linear)
            {
                return Ok((linear, rest));
            }
        }
        self.wrong(id, "not the sum of a layer's output and its input")
    }

    /// Reads the layer that ends in norm `id`; `None` if that is the embeddings'.
    fn layer(&mut self, id: Id) -> Result<Option<Id>, String> {
        if let Term::Norm { x, .. } = self.terms.get(id)
            && matches!(self.terms.get(*x), Term::Embeddings { .. })
        {
            return Ok(None);
        }
        let mut parts = Vec::new();
        let (sum, norm) = self.norm(id)?;
        add(
            &mut parts,
            ["output.LayerNorm.weight", "output.LayerNorm.bias"],
            norm,
        );
        let (down, middle) = self.residual(sum, |linear| {
            matches!(self.terms.get(linear.x), Term::Pointwise { .. })
        })?;
        let Term::Pointwise { x: up_id, f } = self.terms.get(down.x).clone() else {
            return self.wrong(sum, "not a feed-forward layer");
        };
        self.activation(down.x, &f)?;
        let up = self.linear(up_id, "the first half of a feed-forward layer")?;
        if up.x != middle {
            return self.wrong(
                sum,
                "adds something else than the feed-forward layer's input",
            );
        }
        add(
            &mut parts,
            ["output.dense.weight", "output.dense.bias"],
            roles_of(down),
        );
        add(
            &mut parts,
            ["intermediate.dense.weight", "intermediate.dense.bias"],
            roles_of(up),
        );

        let (sum, norm) = self.norm(middle)?;
        let names = [
            "attention.output.LayerNorm.weight",
            "attention.output.LayerNorm.bias",
        ];
        add(&mut parts, names, norm);
        let (out, below) = self.residual(sum, |linear| {
            matches!(self.terms.get(linear.x), Term::Attention { .. })
        })?;
        let attention = out.x;
        add(
            &mut parts,
            [
                "attention.output.dense.weight",
                "attention.output.dense.bias",
            ],
            roles_of(out),
        );
        self.attention(&mut parts, attention, below)?;
        self.layers.push(parts);
        Ok(Some(below))
    }

    fn activation(&mut self, id: Id, f: &Samples) -> Result<(), String> {
        type Function = fn(f64) -> f64;
        let known: [(Activation, Function); 3] = [
            (Activation::Gelu, gelu),
            (Activation::GeluTanh, gelu_tanh),
            (Activation::Relu, |v| v.max(0.0)),
        ];
        let Some((found, _)) = known.iter().find(|(_, g)| f.is(g, TOLERANCE)) else {
            return self.wrong(
                id,
                "the activation is neither GELU, nor its tanh form, nor ReLU",
            );
        };
        if *self.activation.get_or_insert(*found) == *found {
            Ok(())
        } else {
            self.wrong(id, "another activation than in other layers")
        }
    }

    fn attention(
        &mut self,
        parts: &mut Vec<(&'static str, Role)>,
        id: Id,
        below: Id,
    ) -> Result<(), String> {
        let Term::Attention { scores, v } = self.terms.get(id).clone() else {
            return self.wrong(id, "not attention");
        };
        let Scores {
            q,
            k,
            heads,
            scale,
            masked,
        } = scores;
        if !masked {
            return self.wrong(id, "attention without the attention mask");
        }
        if *self.heads.get_or_insert(heads) != heads {
            return self.wrong(id, "another number of heads than in other layers");
        }
        for (names, part) in [
            (
                ["attention.self.query.weight", "attention.self.query.bias"],
                q,
            ),
            (["attention.self.key.weight", "attention.self.key.bias"], k),
            (
                ["attention.self.value.weight", "attention.self.value.bias"],
                v,
            ),
        ] {
            let linear = self.linear(part, "a projection of attention's input")?;
            if linear.x != below {
                return self.wrong(part, "projects something else than the layer's input");
            }
            if part == q {
                let dim = (linear.weight.shape()[0] / heads) as f64;
                if (scale * dim.sqrt() - 1.0).abs() > 2e-3 {
                    let reason =
                        format!("scores are multiplied by {scale}, not by 1 / sqrt({dim})");
                    return self.wrong(id, &reason);
                }
            }
            add(parts, names, roles_of(linear));
        }
        Ok(())
    }

    /// Reads the embeddings. Returns their width.
    fn embeddings(&mut self, id: Id) -> Result<usize, String> {
        let (sum, [scale, bias]) = self.norm(id)?;
        let Term::Embeddings {
            word,
            position,
            segment,
        } = self.terms.get(sum).clone()
        else {
            return self.wrong(id, "not the embeddings' layer norm");
        };
        let mut width = 0;
        for (name, table) in [
            ("word", word),
            ("position", position),
            ("token_type", segment),
        ] {
            let Some(table) = table else {
                let reason = format!(
                    "the embeddings lack the {name} table: DistilBERT, ALiBi and rotary models are \
                     not supported; use a BERT cross-encoder"
                );
                return self.wrong(id, &reason);
            };
            if table.is_raw() {
                return self.wrong(id, "a table of integers without a scale");
            }
            width = table.shape()[1];
            self.tensors.insert(
                format!("embeddings.{name}_embeddings.weight"),
                Role::Matrix(table),
            );
        }
        self.tensors
            .insert("embeddings.LayerNorm.weight".into(), scale);
        self.tensors
            .insert("embeddings.LayerNorm.bias".into(), bias);
        Ok(width)
    }

    fn name_layers(&mut self) {
        for (i, parts) in self.layers.iter().rev().enumerate() {
            for (name, role) in parts {
                self.tensors
                    .insert(format!("encoder.layer.{i}.{name}"), role.clone());
            }
        }
    }
}

fn roles_of(linear: Linear) -> [Role; 2] {
    [Role::Matrix(linear.weight), Role::Vector(linear.bias)]
}

fn add(parts: &mut Vec<(&'static str, Role)>, names: [&'static str; 2], roles: [Role; 2]) {
    parts.extend(names.into_iter().zip(roles));
}
