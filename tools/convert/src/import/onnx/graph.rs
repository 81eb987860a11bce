//! A graph in execution order.

use std::collections::{HashMap, HashSet};
use std::fmt;

use bytes::Bytes;

use super::proto::{self, AttributeProto, GraphProto, NodeProto, ValueInfoProto};
use super::stored::{Beside, Element, Stored};
use super::tensor::{Tensor, axis};
use crate::import::budget::Budget;

/// Oldest and newest supported version of ONNX's own operators.
const OPSETS: std::ops::RangeInclusive<i64> = 9..=25;

/// Most nodes: three times those of the deepest BERT without fusion.
const MAX_NODES: usize = 1 << 14;

/// An attribute of a node.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Attribute {
    Float(f32),
    Int(i64),
    Text(String),
    Floats(Vec<f32>),
    Ints(Vec<i64>),
    Tensor(Stored),
}

/// One node.
#[derive(Debug)]
pub(super) struct Node {
    /// The node's name, or the name of its first output.
    pub name: String,
    /// The operator, with its domain in front unless it is ONNX's own.
    pub op: String,
    /// Names of the inputs; `None` for an omitted one.
    pub inputs: Vec<Option<String>>,
    /// Names of the outputs; empty for an omitted one.
    pub outputs: Vec<String>,
    /// Version of ONNX's own operators.
    pub opset: i64,
    attributes: HashMap<String, Attribute>,
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node {:?} ({})", self.name, self.op)
    }
}

impl Node {
    fn from_proto(proto: NodeProto, opset: i64, beside: &mut Beside) -> Result<Self, String> {
        let named = |name: String| Some(name).filter(|name| !name.is_empty());
        let op = match proto.domain.as_str() {
            "" | "ai.onnx" => proto.op_type,
            domain => format!("{domain}.{}", proto.op_type),
        };
        let first = proto.output.first().cloned().unwrap_or_default();
        let mut node = Node {
            name: named(proto.name).unwrap_or(first),
            op,
            inputs: proto.input.into_iter().map(named).collect(),
            outputs: proto.output,
            opset,
            attributes: HashMap::new(),
        };
        for attribute in proto.attribute {
            let name = attribute.name.clone();
            let value = read_attribute(attribute, beside)
                .map_err(|e| format!("{node}: attribute {name:?}: {e}"))?;
            if node.attributes.insert(name.clone(), value).is_some() {
                return Err(format!("{node}: attribute {name:?} twice"));
            }
        }
        Ok(node)
    }

    /// An attribute in its raw form.
    pub(super) fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.get(name)
    }

    /// An integer, or `default` if it is omitted.
    pub(super) fn int(&self, name: &str, default: i64) -> Result<i64, String> {
        match self.attributes.get(name) {
            None => Ok(default),
            Some(Attribute::Int(value)) => Ok(*value),
            Some(_) => Err(format!("attribute {name:?} is no integer")),
        }
    }

    /// A number, or `default` if it is omitted.
    pub(super) fn float(&self, name: &str, default: f32) -> Result<f32, String> {
        match self.attributes.get(name) {
            None => Ok(default),
            Some(Attribute::Float(value)) => Ok(*value),
            Some(_) => Err(format!("attribute {name:?} is no number")),
        }
    }

    /// A list of integers, if it exists.
    pub(super) fn ints(&self, name: &str) -> Result<Option<&[i64]>, String> {
        match self.attributes.get(name) {
            None => Ok(None),
            Some(Attribute::Ints(values)) => Ok(Some(values)),
            Some(_) => Err(format!("attribute {name:?} is no list of integers")),
        }
    }

    /// A string, or the empty one if it is omitted.
    pub(super) fn text(&self, name: &str) -> &str {
        match self.attributes.get(name) {
            Some(Attribute::Text(text)) => text,
            _ => "",
        }
    }

    /// Refuses an attribute that is neither 0 nor empty: the operator is supported without it only.
    pub(super) fn only_without(&self, names: &[&str]) -> Result<(), String> {
        for name in names {
            match self.attributes.get(*name) {
                None | Some(Attribute::Int(0)) => (),
                Some(Attribute::Float(value)) if *value == 0.0 => (),
                Some(_) => return Err(format!("attribute {name:?} is not supported")),
            }
        }
        Ok(())
    }

    /// Refuses inputs from index `first` on.
    pub(super) fn only_inputs_before(&self, first: usize, what: &str) -> Result<(), String> {
        if self.inputs.iter().skip(first).any(Option::is_some) {
            Err(format!("an input for {what} is not supported"))
        } else {
            Ok(())
        }
    }

    /// An axis of an input with `rank` dimensions.
    pub(super) fn axis(&self, default: i64, rank: usize) -> Result<usize, String> {
        axis(self.int("axis", default)?, rank)
    }
}

fn read_attribute(proto: AttributeProto, beside: &mut Beside) -> Result<Attribute, String> {
    if proto.g.is_some() || !proto.graphs.is_empty() {
        return Err("graphs within graphs (If, Loop, Scan) are not supported".into());
    }
    if let Some(tensor) = proto.t {
        return Stored::from_proto(tensor, beside).map(Attribute::Tensor);
    }
    Ok(match (proto.f, proto.i, proto.s) {
        (_, Some(value), _) => Attribute::Int(value),
        (Some(value), ..) => Attribute::Float(value),
        (.., Some(text)) => Attribute::Text(String::from_utf8_lossy(&text).into_owned()),
        _ if !proto.floats.is_empty() => Attribute::Floats(proto.floats),
        _ => Attribute::Ints(proto.ints),
    })
}

/// An input or output of the graph.
#[derive(Debug, Clone)]
pub(super) struct Port {
    pub name: String,
    pub element: Option<Element>,
    /// `None` for an open dimension.
    pub shape: Vec<Option<usize>>,
}

impl Port {
    fn from_proto(proto: ValueInfoProto) -> Self {
        let tensor = proto.r#type.and_then(|t| t.tensor_type);
        let dims = tensor.as_ref().and_then(|t| t.shape.as_ref());
        let fixed = |value: Option<i64>| {
            value
                .and_then(|v| usize::try_from(v).ok())
                .filter(|&v| v > 0)
        };
        Port {
            name: proto.name,
            element: tensor
                .as_ref()
                .and_then(|t| Element::from_number(t.elem_type).ok()),
            shape: dims.map_or(Vec::new(), |s| {
                s.dim.iter().map(|d| fixed(d.dim_value)).collect()
            }),
        }
    }
}

/// A graph. Its nodes are sorted so that each comes after those it depends on.
#[derive(Debug)]
pub(super) struct Graph {
    pub nodes: Vec<Node>,
    pub constants: HashMap<String, Stored>,
    pub inputs: Vec<Port>,
    pub outputs: Vec<Port>,
    /// What may be held.
    pub budget: Budget,
}

impl Graph {
    /// Parses a file's bytes.
    ///
    /// # Errors
    /// Names the node or the tensor that is wrong.
    pub(super) fn parse(file: Bytes, beside: &mut Beside) -> Result<Self, String> {
        let model = proto::decode(file, &beside.budget)?;
        let own = |domain: &str| matches!(domain, "" | "ai.onnx");
        let opset = model
            .opset_import
            .iter()
            .find(|set| own(&set.domain))
            .map_or(1, |set| set.version);
        let graph = model.graph.ok_or("not an ONNX file: it has no graph")?;
        if !OPSETS.contains(&opset) {
            let (first, last) = (OPSETS.start(), OPSETS.end());
            return Err(format!(
                "operator set {opset} is not supported; {first} to {last} are"
            ));
        }
        if !graph.sparse_initializer.is_empty() {
            return Err(
                "sparse tensors are not supported; export the model with dense ones".into(),
            );
        }
        Self::build(graph, opset, beside)
    }

    fn build(graph: GraphProto, opset: i64, beside: &mut Beside) -> Result<Self, String> {
        let mut constants = HashMap::new();
        for tensor in graph.initializer {
            let name = tensor.name.clone();
            let stored =
                Stored::from_proto(tensor, beside).map_err(|e| format!("tensor {name:?}: {e}"))?;
            if constants.insert(name.clone(), stored).is_some() {
                return Err(format!("two tensors are both {name:?}"));
            }
        }
        let computing = graph.node.iter().filter(|node| node.op_type != "Constant");
        if computing.count() > MAX_NODES {
            return Err(format!("more than {MAX_NODES} nodes; BERT has fewer"));
        }
        let mut nodes = Vec::new();
        for proto in graph.node {
            let mut node = Node::from_proto(proto, opset, beside)?;
            if node.op != "Constant" {
                nodes.push(node);
                continue;
            }
            let value = constant(&mut node).map_err(|e| format!("{node}: {e}"))?;
            let output = node.outputs.first().cloned().unwrap_or_default();
            if constants.insert(output, value).is_some() {
                return Err(format!("{node}: there is such a value already"));
            }
        }
        // Old files list their constants among the inputs.
        let inputs: Vec<Port> = graph.input.into_iter().map(Port::from_proto).collect();
        let inputs = inputs
            .into_iter()
            .filter(|port| !constants.contains_key(&port.name));
        let mut graph = Graph {
            nodes: Vec::new(),
            inputs: inputs.collect(),
            outputs: graph.output.into_iter().map(Port::from_proto).collect(),
            constants,
            budget: beside.budget.clone(),
        };
        graph.nodes = graph.sort(nodes)?;
        Ok(graph)
    }

    /// Sorts nodes after those whose outputs they use.
    fn sort(&self, nodes: Vec<Node>) -> Result<Vec<Node>, String> {
        let mut makers: HashMap<&str, usize> = HashMap::new();
        let given: HashSet<&str> = self.inputs.iter().map(|port| port.name.as_str()).collect();
        for (i, node) in nodes.iter().enumerate() {
            for output in node.outputs.iter().filter(|name| !name.is_empty()) {
                let taken = given.contains(output.as_str()) || self.constants.contains_key(output);
                if taken || makers.insert(output, i).is_some() {
                    return Err(format!("{node}: there is a {output:?} already"));
                }
            }
        }
        let mut waiting = vec![0usize; nodes.len()];
        let mut followers = vec![Vec::new(); nodes.len()];
        for (i, node) in nodes.iter().enumerate() {
            for input in node.inputs.iter().flatten() {
                if let Some(&maker) = makers.get(input.as_str()) {
                    waiting[i] += 1;
                    followers[maker].push(i);
                } else if !given.contains(input.as_str()) && !self.constants.contains_key(input) {
                    return Err(format!("{node}: nothing makes its input {input:?}"));
                }
            }
        }
        let mut order: Vec<usize> = (0..nodes.len()).filter(|&i| waiting[i] == 0).collect();
        let mut next = 0;
        while let Some(&done) = order.get(next) {
            next += 1;
            for &follower in &followers[done] {
                waiting[follower] -= 1;
                if waiting[follower] == 0 {
                    order.push(follower);
                }
            }
        }
        if let Some(i) = waiting.iter().position(|&n| n > 0) {
            return Err(format!("{}: its input depends on its output", nodes[i]));
        }
        let mut nodes: Vec<Option<Node>> = nodes.into_iter().map(Some).collect();
        Ok(order.iter().filter_map(|&i| nodes[i].take()).collect())
    }

    /// The nodes that `output` needs, in order.
    pub(super) fn needed(&self, output: &str) -> Vec<&Node> {
        let mut wanted: HashSet<&str> = HashSet::from([output]);
        let mut needed = Vec::new();
        for node in self.nodes.iter().rev() {
            if node
                .outputs
                .iter()
                .any(|name| wanted.contains(name.as_str()))
            {
                wanted.extend(node.inputs.iter().flatten().map(String::as_str));
                needed.push(node);
            }
        }
        needed.reverse();
        needed
    }
}

/// The value of a `Constant` node.
fn constant(node: &mut Node) -> Result<Stored, String> {
    let mut values = node.attributes.drain();
    let value = values.next().ok_or("no value")?;
    let made = |tensor| Ok(Stored::from_tensor(&tensor));
    match (value.0.as_str(), value.1) {
        ("value", Attribute::Tensor(stored)) => Ok(stored),
        ("value_float", Attribute::Float(v)) => made(Tensor::floats(&[], vec![v])),
        ("value_floats", Attribute::Floats(v)) => made(Tensor::floats(&[v.len()], v)),
        ("value_int", Attribute::Int(v)) => made(Tensor::ints(&[], vec![v])),
        ("value_ints", Attribute::Ints(v)) => made(Tensor::ints(&[v.len()], v)),
        (name, _) => Err(format!("attribute {name:?} is not supported")),
    }
}
