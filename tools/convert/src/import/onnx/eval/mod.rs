//! Runs ONNX operators by their definitions: scalar and slow, without any knowledge of BERT.
//!
//! It has two uses: computing the parts of a graph that depend on shapes, masks and positions only,
//! and running the whole graph to check a conversion. It has only the operators of exported and
//! optimised BERT models; any other operator is an error.

mod attention;
mod elementwise;
mod matmul;
mod quantized;
mod reduce;
mod shape;

pub(super) use attention::{check_multi_head, check_packed, check_standard, heads};
pub(super) use elementwise::{erf, gelu, gelu_tanh};
pub(super) use quantized::from_integers;
pub(super) use reduce::{axes as reduction_axes, softmax_is_last};
pub(super) use shape::{permutation, resolve_shape};

use super::graph::Node;
use super::tensor::Tensor;

/// Computes nodes, up to an amount of work.
pub(super) struct Evaluator {
    /// Whether activations stay exact where the graph rounds them to 8 bits. Then a quantised graph
    /// gives the results of its weights alone.
    pub unrounded: bool,
    /// Remaining elements and products.
    work: u64,
}

impl Evaluator {
    /// An evaluator that computes at most `work` elements and products.
    pub(super) fn new(unrounded: bool, work: u64) -> Self {
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

    /// Computes the node's outputs.
    ///
    /// # Errors
    /// When the operator is unknown or the inputs do not fit it.
    pub(super) fn eval(
        &mut self,
        node: &Node,
        inputs: &[Option<Tensor>],
    ) -> Result<Vec<Tensor>, String> {
        let x = Inputs(inputs);
        let outputs = self.dispatch(node, &x)?;
        self.spend(outputs.iter().map(Tensor::len).sum::<usize>() + 1)?;
        Ok(outputs)
    }

    fn dispatch(&mut self, node: &Node, x: &Inputs) -> Result<Vec<Tensor>, String> {
        let one = |tensor: Result<Tensor, String>| tensor.map(|t| vec![t]);
        match node.op.as_str() {
            "Identity" | "Dropout" => one(x.get(0).cloned()),
            "Shape" | "Size" | "Gather" | "GatherElements" | "GatherND" | "Slice" | "Squeeze"
            | "Unsqueeze" | "Concat" | "Reshape" | "Flatten" | "Transpose" | "Expand" | "Tile"
            | "Range" | "ConstantOfShape" => one(shape::eval(node, x)),
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
pub(super) struct Inputs<'a>(pub &'a [Option<Tensor>]);

impl Inputs<'_> {
    /// Input `i`, which must exist.
    pub(super) fn get(&self, i: usize) -> Result<&Tensor, String> {
        self.optional(i)
            .ok_or_else(|| format!("input {i} is missing"))
    }

    /// Input `i`, if it exists.
    pub(super) fn optional(&self, i: usize) -> Option<&Tensor> {
        self.0.get(i).and_then(Option::as_ref)
    }

    /// Number of inputs.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
