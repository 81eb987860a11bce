//! The messages of `onnx.proto3` that the reader needs, by field number. Other fields are skipped.

use bytes::Bytes;
use prost::Message;

use crate::import::budget::{Budget, GROWTH};

/// A whole file.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ModelProto {
    #[prost(message, optional, tag = "7")]
    pub graph: Option<GraphProto>,
    #[prost(message, repeated, tag = "8")]
    pub opset_import: Vec<OperatorSetIdProto>,
}

/// A set of operators and its version.
#[derive(Clone, PartialEq, Message)]
pub(super) struct OperatorSetIdProto {
    #[prost(string, tag = "1")]
    pub domain: String,
    #[prost(int64, tag = "2")]
    pub version: i64,
}

/// Nodes, constants, inputs and outputs.
#[derive(Clone, PartialEq, Message)]
pub(super) struct GraphProto {
    #[prost(message, repeated, tag = "1")]
    pub node: Vec<NodeProto>,
    #[prost(message, repeated, tag = "5")]
    pub initializer: Vec<TensorProto>,
    #[prost(message, repeated, tag = "11")]
    pub input: Vec<ValueInfoProto>,
    #[prost(message, repeated, tag = "12")]
    pub output: Vec<ValueInfoProto>,
    #[prost(message, repeated, tag = "15")]
    pub sparse_initializer: Vec<Unread>,
}

/// A message of which only the presence matters.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Unread {}

/// One operation.
#[derive(Clone, PartialEq, Message)]
pub(super) struct NodeProto {
    #[prost(string, repeated, tag = "1")]
    pub input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub output: Vec<String>,
    #[prost(string, tag = "3")]
    pub name: String,
    #[prost(string, tag = "4")]
    pub op_type: String,
    #[prost(message, repeated, tag = "5")]
    pub attribute: Vec<AttributeProto>,
    #[prost(string, tag = "7")]
    pub domain: String,
}

/// An attribute of a node.
#[derive(Clone, PartialEq, Message)]
pub(super) struct AttributeProto {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(float, optional, tag = "2")]
    pub f: Option<f32>,
    #[prost(int64, optional, tag = "3")]
    pub i: Option<i64>,
    #[prost(bytes = "bytes", optional, tag = "4")]
    pub s: Option<Bytes>,
    #[prost(message, optional, tag = "5")]
    pub t: Option<TensorProto>,
    #[prost(message, optional, tag = "6")]
    pub g: Option<Unread>,
    #[prost(float, repeated, tag = "7")]
    pub floats: Vec<f32>,
    #[prost(int64, repeated, tag = "8")]
    pub ints: Vec<i64>,
    #[prost(message, repeated, tag = "11")]
    pub graphs: Vec<Unread>,
}

/// A constant. Its values are in one of the data fields or in another file.
#[derive(Clone, PartialEq, Message)]
pub(super) struct TensorProto {
    #[prost(int64, repeated, tag = "1")]
    pub dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    pub data_type: i32,
    #[prost(float, repeated, tag = "4")]
    pub float_data: Vec<f32>,
    #[prost(int32, repeated, tag = "5")]
    pub int32_data: Vec<i32>,
    #[prost(int64, repeated, tag = "7")]
    pub int64_data: Vec<i64>,
    #[prost(string, tag = "8")]
    pub name: String,
    #[prost(bytes = "bytes", optional, tag = "9")]
    pub raw_data: Option<Bytes>,
    #[prost(double, repeated, tag = "10")]
    pub double_data: Vec<f64>,
    #[prost(message, repeated, tag = "13")]
    pub external_data: Vec<StringStringEntryProto>,
    #[prost(int32, tag = "14")]
    pub data_location: i32,
}

/// A key and its value.
#[derive(Clone, PartialEq, Message)]
pub(super) struct StringStringEntryProto {
    #[prost(string, tag = "1")]
    pub key: String,
    #[prost(string, tag = "2")]
    pub value: String,
}

/// Name and type of an input or output.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ValueInfoProto {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(message, optional, tag = "2")]
    pub r#type: Option<TypeProto>,
}

/// A type. Only tensors are read.
#[derive(Clone, PartialEq, Message)]
pub(super) struct TypeProto {
    #[prost(message, optional, tag = "1")]
    pub tensor_type: Option<TensorTypeProto>,
}

/// Element type and shape.
#[derive(Clone, PartialEq, Message)]
pub(super) struct TensorTypeProto {
    #[prost(int32, tag = "1")]
    pub elem_type: i32,
    #[prost(message, optional, tag = "2")]
    pub shape: Option<TensorShapeProto>,
}

/// A shape.
#[derive(Clone, PartialEq, Message)]
pub(super) struct TensorShapeProto {
    #[prost(message, repeated, tag = "1")]
    pub dim: Vec<DimensionProto>,
}

/// A dimension: a number, or open.
#[derive(Clone, PartialEq, Message)]
pub(super) struct DimensionProto {
    #[prost(int64, optional, tag = "1")]
    pub dim_value: Option<i64>,
}

/// Nested messages that [`fields`] descends into.
#[derive(Clone, Copy)]
enum Level {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    ValueInfo,
    Type,
    TensorType,
    Shape,
    Leaf,
}

impl Level {
    fn below(self, tag: u32) -> Level {
        match (self, tag) {
            (Level::Model, 7) => Level::Graph,
            (Level::Graph, 1) => Level::Node,
            (Level::Graph, 5) | (Level::Attribute, 5) => Level::Tensor,
            (Level::Graph, 11 | 12) => Level::ValueInfo,
            (Level::Node, 5) => Level::Attribute,
            (Level::ValueInfo, 2) => Level::Type,
            (Level::Type, 1) => Level::TensorType,
            (Level::TensorType, 2) => Level::Shape,
            _ => Level::Leaf,
        }
    }

    /// Most bytes of a length-delimited field after decoding, without its nested messages: of the
    /// message, and of the node, constant or port that is made of it.
    fn decoded(self, tag: u32, field: &[u8]) -> u64 {
        let len = field.len() as u64;
        let message = |size: usize| 2 * GROWTH * size as u64;
        let numbers = || field.iter().filter(|&&byte| byte < 0x80).count() as u64;
        match (self, tag) {
            (Level::Model, 7) => message(size_of::<GraphProto>()),
            (Level::Model, 8) => message(size_of::<OperatorSetIdProto>()),
            (Level::Graph, 1) => message(size_of::<NodeProto>()),
            (Level::Graph, 5) | (Level::Attribute, 5) => message(size_of::<TensorProto>()),
            (Level::Graph, 11 | 12) => message(size_of::<ValueInfoProto>()),
            (Level::Node, 5) => message(size_of::<AttributeProto>()),
            (Level::ValueInfo, 2) | (Level::Type, 1) | (Level::TensorType, 2) => 0,
            (Level::Shape, 1) => message(size_of::<DimensionProto>()),
            (Level::Tensor, 13) => message(size_of::<StringStringEntryProto>()) + GROWTH * len,
            // Bytes of the file, not copied.
            (Level::Tensor, 9) => 0,
            (Level::Tensor, 4 | 10) => (GROWTH + 1) * len,
            (Level::Tensor, 5) => 4 * (GROWTH + 1) * numbers(),
            (Level::Tensor, 1 | 7) | (Level::Attribute, 8) => 8 * (GROWTH + 1) * numbers(),
            (Level::Node | Level::Attribute | Level::Tensor | Level::ValueInfo, _) => {
                message(size_of::<String>()) + GROWTH * len
            }
            // Messages without fields, and fields that are skipped.
            _ => 1,
        }
    }
}

/// Deepest nesting, more than any message in use has.
const MAX_DEPTH: usize = 16;

/// Decodes a file. What it takes after decoding is taken from the budget before: an empty message
/// has 2 bytes, but takes hundreds.
pub(super) fn decode(file: Bytes, budget: &Budget) -> Result<ModelProto, String> {
    fields(&file, Level::Model, 0, budget)?;
    ModelProto::decode(file).map_err(|e| format!("not an ONNX file, or cut short: {e}"))
}

/// Takes what the fields of `message` and its nested messages take after decoding.
fn fields(message: &[u8], level: Level, depth: usize, budget: &Budget) -> Result<(), String> {
    use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
    let broken = |e: prost::DecodeError| format!("not an ONNX file, or cut short: {e}");
    if depth > MAX_DEPTH {
        return Err(format!("messages nested {depth} deep"));
    }
    let mut rest = message;
    while !rest.is_empty() {
        let (tag, wire) = decode_key(&mut rest).map_err(broken)?;
        if wire != WireType::LengthDelimited {
            skip_field(wire, tag, &mut rest, DecodeContext::default()).map_err(broken)?;
            // A number, perhaps of a list.
            budget.push::<i64>(1)?;
            continue;
        }
        let len = decode_varint(&mut rest).map_err(broken)?;
        let Some((inner, after)) = usize::try_from(len)
            .ok()
            .and_then(|n| rest.split_at_checked(n))
        else {
            return Err(format!(
                "not an ONNX file, or cut short: a field claims {len} bytes, {} are left",
                rest.len()
            ));
        };
        rest = after;
        budget.take(level.decoded(tag, inner))?;
        match level.below(tag) {
            Level::Leaf => (),
            below => fields(inner, below, depth + 1, budget)?,
        }
    }
    Ok(())
}
