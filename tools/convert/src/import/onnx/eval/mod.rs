//! ONNX computed as its operators are defined: scalar, slow, and without a thought of BERT.
//!
//! It has two uses. What a graph computes from shapes, masks and positions is found out by computing
//! it, and a conversion is checked by computing the whole graph. Only the operators that BERT models
//! are exported and optimised to are here; any other is an error.

mod attention;
mod elementwise;
mod matmul;
mod quantized;
mod reduce;
mod shape;

pub use attention::{check_multi_head, check_packed, check_standard, heads};
pub use elementwise::{erf, gelu, gelu_tanh};
pub use quantized::from_integers;
pub use reduce::{axes as reduction_axes, softmax_is_last};
pub use shape::{permutation, resolve_shape};

use super::graph::Node;
use super::tensor::Tensor;

/// Computes nodes, up to an amount of work.
pub struct Evaluator {
    /// Whether activations keep their fractions where the graph rounds them to 8 bits: then a
    /// quantised graph gives what its weights mean.
    pub unrounded: bool,
    /// How many more elements and products may be computed.
    work: u64,
}

impl Evaluator {
    /// One that computes at most `work` elements and products.
    pub fn new(unrounded: bool, work: u64) -> Self {
        Evaluator { unrounded, work }
    }

    fn spend(&mut self, work: usize) -> Result<(), String> {
        match self.work.checked_sub(work as u64) {
            Some(left) => {
                self.work = left;
                Ok(())
            }
            None => Err("the graph takes more work than a BERT model does".into()),
        }
    }

    /// The node's outputs.
    ///
    /// # Errors
    /// Where the operator is not known or the inputs do not fit it.
    pub fn eval(&mut self, node: &Node, inputs: &[Option<Tensor>]) -> Result<Vec<Tensor>, String> {
        let x = Inputs(inputs);
        let outputs = self.dispatch(node, &x)?;
        self.spend(outputs.iter().map(Tensor::len).sum::<usize>() + 1)?;
        Ok(outputs)
    }

    fn dispatch(&mut self, node: &Node, x: &Inputs) -> Result<Vec<Tensor>, String> {
        let one = |tensor: Result<Tensor, String>| tensor.map(|t| vec![t]);
        match node.op.as_str() {
            "Identity" | "Dropout" => one(x.get(0).cloned()),
            "Shape" | "Size" | "Gather" | "GatherND" | "Slice" | "Squeeze" | "Unsqueeze"
            | "Concat" | "Reshape" | "Flatten" | "Transpose" | "Expand" | "Tile" | "Range"
            | "ConstantOfShape" => one(shape::eval(node, x)),
            "Split" => shape::split(node, x),
            "Cast" | "CastLike" => one(elementwise::cast(node, x)),
            "Where" => one(elementwise::select(x)),
            "Clip" => one(elementwise::clip(node, x)),
            "Max" | "Min" => one(elementwise::fold(node, x)),
            "Add" | "Sub" | "Mul" | "Div" | "Pow" | "Mod" | "Equal" | "Greater"
            | "GreaterOrEqual" | "Less" | "LessOrEqual" | "And" | "Or" | "Xor" | "BitwiseAnd"
            | "BitwiseOr" => one(elementwise::binary(&node.op, x.get(0)?, x.get(1)?)),
            "ReduceMean" | "ReduceSum" | "ReduceMax" | "ReduceMin" | "ReduceProd" | "ReduceL2" => {
                one(reduce::reduce(node, x))
            }
            "CumSum" => one(reduce::cumsum(node, x)),
            "Softmax" => one(reduce::softmax(node, x)),
            "LayerNormalization" => one(reduce::layer_norm(node, x)),
            "com.microsoft.SkipLayerNormalization" => reduce::skip_layer_norm(node, x),
            "com.microsoft.EmbedLayerNormalization" => reduce::embed_layer_norm(node, x),
            "com.microsoft.QEmbedLayerNormalization" => quantized::embed_layer_norm(node, x),
            "MatMul" | "Gemm" | "com.microsoft.FusedMatMul" => one(matmul::eval(self, node, x)),
            "com.microsoft.Attention" | "com.microsoft.MultiHeadAttention" | "Attention" => {
                one(attention::eval(self, node, x))
            }
            "com.microsoft.QAttention" => one(quantized::attention(self, node, x)),
            "DequantizeLinear" => one(quantized::dequantize(node, x)),
            "QuantizeLinear" => one(quantized::quantize(self, node, x)),
            "DynamicQuantizeLinear" => quantized::dynamic_quantize(self, x),
            "MatMulInteger" => one(quantized::matmul_integer(self, x)),
            "com.microsoft.DynamicQuantizeMatMul" => one(quantized::dynamic_matmul(self, x)),
            "com.microsoft.MatMulIntegerToFloat" => one(quantized::matmul_to_float(self, x)),
            _ => one(elementwise::unary(node, x)),
        }
    }
}

/// A node's inputs.
pub struct Inputs<'a>(pub &'a [Option<Tensor>]);

impl Inputs<'_> {
    /// Input `i`, which must be there.
    pub fn get(&self, i: usize) -> Result<&Tensor, String> {
        self.optional(i)
            .ok_or_else(|| format!("input {i} is missing"))
    }

    /// Input `i`, if it is there.
    pub fn optional(&self, i: usize) -> Option<&Tensor> {
        self.0.get(i).and_then(Option::as_ref)
    }

    /// Number of inputs.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}
