//! Finds the meaning of each value of a graph. Walks the graph once on a small probe: values that
//! depend on shapes, masks and positions only are computed, and values that depend on weights
//! become a [`Term`].
//!
//! An operator without a rule for its terms ends the walk. Nothing is guessed, and nothing is
//! recognised by its name.

mod elementwise;
mod fused;
mod matmul;
mod shape;

use std::collections::HashMap;
use std::sync::Arc;

use super::eval::Evaluator;
use super::graph::{Graph, Node};
use super::matrix::Matrix;
use super::probe::{Feed, Probe};
use super::stored::Stored;
use super::tensor::{Tensor, elements};
use super::terms::{Id, Term, Terms};

/// Most elements and products computed in addition to the terms.
const WORK: u64 = 1 << 26;

/// Knowledge about a value.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// The value itself. `constant`: the same for all inputs.
    Known { tensor: Tensor, constant: bool },
    /// A constant with two axes, not copied.
    Weight(Matrix),
    /// Its meaning, and its shape on the probe.
    Term { id: Id, shape: Vec<usize> },
}

impl Value {
    /// Bytes that it holds. Weights count although they are the file's: some are computed.
    fn bytes(&self) -> u64 {
        match self {
            Value::Known { tensor, .. } => tensor.bytes(),
            Value::Weight(matrix) => matrix.bytes(),
            // The term, with vectors of scales and biases.
            Value::Term { shape, .. } => {
                let width = shape.last().copied().unwrap_or(0) as u64;
                (size_of::<Term>() + 64) as u64 + 8 * (width + shape.len() as u64)
            }
        }
    }
}

/// A walk over a graph.
pub(super) struct Trace<'a> {
    pub probe: &'a Probe,
    pub terms: Terms,
    /// Whether token types select rows of a table.
    pub reads_types: bool,
    graph: &'a Graph,
    values: HashMap<&'a str, Value>,
    evaluator: Evaluator,
}

/// Finds the meaning of an output of a graph.
///
/// # Errors
/// Names the first node that is not understood.
pub(super) fn trace<'a>(
    graph: &'a Graph,
    output: &str,
    probe: &'a Probe,
) -> Result<(Trace<'a>, Id, Vec<usize>), String> {
    let mut trace = Trace {
        probe,
        terms: Terms::default(),
        reads_types: false,
        graph,
        values: HashMap::new(),
        evaluator: Evaluator::new(false, WORK),
    };
    for port in &graph.inputs {
        let tensor = probe.feed(port)?;
        trace.values.insert(
            &port.name,
            Value::Known {
                tensor,
                constant: false,
            },
        );
    }
    for node in graph.needed(output) {
        let wrong = |e: String| format!("{node}: {e}");
        trace.terms.at(node.to_string());
        let outputs = trace.node(node).map_err(wrong)?;
        for (name, value) in node.outputs.iter().zip(outputs) {
            graph.budget.take(value.bytes()).map_err(wrong)?;
            trace.values.insert(name, value);
        }
    }
    match trace.values.get(output) {
        Some(Value::Term { id, shape }) => {
            let (id, shape) = (*id, shape.clone());
            Ok((trace, id, shape))
        }
        _ => Err(format!(
            "output {output:?} does not depend on the model's weights"
        )),
    }
}

impl<'a> Trace<'a> {
    fn value(&mut self, name: &'a str) -> Result<Value, String> {
        if let Some(value) = self.values.get(name) {
            return Ok(value.clone());
        }
        let stored = self.graph.constants.get(name);
        let stored = stored.ok_or_else(|| format!("{name:?} has no value"))?;
        let value = constant(stored.clone())?;
        self.graph.budget.take(value.bytes())?;
        self.values.insert(name, value.clone());
        Ok(value)
    }

    fn node(&mut self, node: &'a Node) -> Result<Vec<Value>, String> {
        let inputs = node
            .inputs
            .iter()
            .map(|name| name.as_deref().map(|name| self.value(name)).transpose());
        let inputs = Operands(inputs.collect::<Result<_, _>>()?);
        if inputs
            .0
            .iter()
            .flatten()
            .any(|value| matches!(value, Value::Term { .. }))
        {
            return self.rule(node, &inputs);
        }
        if let Some(value) = self.of_weights(node, &inputs)? {
            return Ok(value);
        }
        let constant = inputs.0.iter().flatten().all(|v| {
            !matches!(
                v,
                Value::Known {
                    constant: false,
                    ..
                }
            )
        });
        let _unpacked = self.graph.budget.scope();
        let known = |value: &Value| {
            if let Value::Weight(matrix) = value {
                self.graph.budget.take(matrix.unpacked())?;
            }
            known(value)
        };
        let tensors = inputs
            .0
            .iter()
            .map(|value| value.as_ref().map(known).transpose());
        let tensors = tensors.collect::<Result<Vec<_>, _>>()?;
        let outputs = self.evaluator.eval(node, &tensors)?;
        Ok(outputs
            .into_iter()
            .map(|tensor| computed(tensor, constant))
            .collect())
    }

    /// Handles weights before they meet a term, and the operators by which they make one.
    fn of_weights(&mut self, node: &Node, x: &Operands) -> Result<Option<Vec<Value>>, String> {
        let weight = match x.0.first() {
            Some(Some(Value::Weight(matrix))) => matrix.clone(),
            _ => match (node.op.as_str(), x.0.get(1)) {
                ("Mul", Some(Some(Value::Weight(matrix)))) if matrix.is_integer() => {
                    let scaled = matrix.clone().scaled(&x.constant(0)?, None)?;
                    return Ok(Some(vec![Value::Weight(scaled)]));
                }
                _ => return fused::of_ids(self, node, x),
            },
        };
        let made = match node.op.as_str() {
            "Identity" => weight,
            "Transpose" => weight.transpose(),
            "Cast" if elementwise::to_float(node)? => weight.into_numbers(),
            "DequantizeLinear" if weight.is_raw() => {
                node.only_without(&["block_size"])?;
                let zero = x.optional(2).map(|_| x.constant(2)).transpose()?;
                weight.dequantized(&x.constant(1)?, zero.as_ref(), Some(node.axis(1, 2)?))?
            }
            "Mul" if weight.is_integer() => weight.scaled(&x.constant(1)?, None)?,
            "Gather" if node.axis(0, 2)? == 0 => {
                return shape::rows_of_table(self, weight, x).map(Some);
            }
            _ => return Ok(None),
        };
        Ok(Some(vec![Value::Weight(made)]))
    }

    /// Handles operators on terms.
    fn rule(&mut self, node: &Node, x: &Operands) -> Result<Vec<Value>, String> {
        let one = |value: Result<Value, String>| value.map(|v| vec![v]);
        match node.op.as_str() {
            "Identity" => one(x.get(0).cloned()),
            "Dropout" => one(elementwise::dropout(x)),
            "Cast" => one(elementwise::cast(node, x)),
            "Shape" => {
                let (_, shape) = x.term(0)?;
                let outputs = self.evaluator.eval(node, &[Some(stand_in(shape)?)])?;
                Ok(outputs
                    .into_iter()
                    .map(|tensor| computed(tensor, false))
                    .collect())
            }
            "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" => one(shape::reshape(self, node, x)),
            "Expand" => one(shape::expand(x)),
            "Transpose" => one(shape::transpose(self, node, x)),
            "Gather" => one(shape::gather(self, node, x)),
            "Slice" => one(shape::slice(self, node, x)),
            "ReduceMean" => one(elementwise::mean(self, node, x)),
            "Add" | "Sub" | "Mul" | "Div" | "Pow" => one(elementwise::binary(self, &node.op, x)),
            "Where" => one(elementwise::select(self, x)),
            "Softmax" => one(elementwise::softmax(self, node, x)),
            "LayerNormalization" => one(fused::layer_norm(self, node, x)),
            "MatMul" | "Gemm" | "com.microsoft.FusedMatMul" => one(matmul::matmul(self, node, x)),
            "MatMulInteger" => one(matmul::integer(self, x)),
            "com.microsoft.DynamicQuantizeMatMul" => one(matmul::dynamic(self, x)),
            "com.microsoft.MatMulIntegerToFloat" => one(matmul::to_float(self, x)),
            "DynamicQuantizeLinear" => matmul::quantize_dynamically(self, x),
            "QuantizeLinear" => one(matmul::quantize(self, x)),
            "DequantizeLinear" => one(matmul::dequantize(self, x)),
            "com.microsoft.SkipLayerNormalization" => fused::skip_layer_norm(self, node, x),
            "com.microsoft.Attention" => one(fused::packed_attention(self, node, x)),
            "com.microsoft.QAttention" => one(fused::quantized_attention(self, node, x)),
            "com.microsoft.MultiHeadAttention" => one(fused::multi_head(self, node, x)),
            "Attention" => one(fused::attention(self, node, x)),
            _ => one(elementwise::unary(self, node, x)),
        }
    }

    /// Whether the graph has an input with this meaning.
    pub(super) fn feeds(&self, feed: Feed) -> bool {
        self.graph
            .inputs
            .iter()
            .any(|port| Feed::of(port) == Ok(feed))
    }

    /// The value of a term.
    fn put(&mut self, term: Term, shape: &[usize]) -> Value {
        Value::Term {
            id: self.terms.put(term),
            shape: shape.to_vec(),
        }
    }
}

/// A tensor of which only the shape matters.
fn stand_in(shape: &[usize]) -> Result<Tensor, String> {
    Ok(Tensor::ints(shape, vec![0; elements(shape)?]))
}

/// A constant. Weights are not copied.
fn constant(stored: Stored) -> Result<Value, String> {
    if stored.shape.len() == 2
        && let Some(matrix) = Matrix::new(stored.clone())
    {
        return Ok(Value::Weight(matrix));
    }
    if stored.len() <= 1 << 22 {
        Ok(Value::Known {
            tensor: stored.tensor(),
            constant: true,
        })
    } else {
        Err(format!(
            "a constant of shape {:?} is not one of BERT's weights",
            stored.shape
        ))
    }
}

fn computed(tensor: Tensor, constant: bool) -> Value {
    let matrix = (constant && tensor.is_float()).then(|| Matrix::new(Stored::from_tensor(&tensor)));
    match matrix.flatten() {
        Some(matrix) => Value::Weight(matrix),
        None => Value::Known { tensor, constant },
    }
}

fn known(value: &Value) -> Result<Tensor, String> {
    match value {
        Value::Known { tensor, .. } => Ok(tensor.clone()),
        Value::Weight(matrix) => matrix
            .tensor()
            .ok_or_else(|| format!("no rule for a weight of shape {:?} here", matrix.shape())),
        Value::Term { .. } => Err("no rule for this operator on values of the model".into()),
    }
}

/// A node's inputs.
pub(super) struct Operands(Vec<Option<Value>>);

impl Operands {
    fn optional(&self, i: usize) -> Option<&Value> {
        self.0.get(i).and_then(Option::as_ref)
    }

    fn get(&self, i: usize) -> Result<&Value, String> {
        self.optional(i)
            .ok_or_else(|| format!("input {i} is missing"))
    }

    /// Input `i` as a term.
    fn term(&self, i: usize) -> Result<(Id, &[usize]), String> {
        match self.get(i)? {
            Value::Term { id, shape } => Ok((*id, shape)),
            _ => Err(format!("input {i} is not a value of the model")),
        }
    }

    /// Input `i`, which must be known.
    fn known(&self, i: usize) -> Result<Tensor, String> {
        known(self.get(i)?)
    }

    /// Input `i`, which must be the same for all inputs.
    fn constant(&self, i: usize) -> Result<Tensor, String> {
        match self.get(i)? {
            Value::Known {
                constant: false, ..
            } => Err(format!("input {i} depends on the text")),
            other => known(other),
        }
    }

    /// Input `i`, a constant with one axis of this length.
    fn vector(&self, i: usize, len: usize) -> Result<Arc<[f32]>, String> {
        let tensor = self.constant(i)?;
        if tensor.shape == [len] {
            Ok(tensor.to_floats())
        } else {
            Err(format!(
                "input {i} has shape {:?}, not [{len}]",
                tensor.shape
            ))
        }
    }

    /// Input `i` as a weight.
    fn weight(&self, i: usize) -> Result<Matrix, String> {
        match self.get(i)? {
            Value::Weight(matrix) => Ok(matrix.clone()),
            _ => Err(format!("input {i} is not a weight")),
        }
    }
}
